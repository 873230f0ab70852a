import onnx_ir as ir
import pytest

from export.quantization.check_quantized import check_quantized
from runtime.building.build import build
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.errors import EngineError, OptionError

QUANTIZED = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 4, height, width] images) => (float[batch, 4, h, w] logits)
<float scale = {0.1}, int8 zero = {0}, float[4] scales = {0.1, 0.2, 0.3, 0.4},
 int8[4] zeros = {0, 0, 0, 0}, int8[4, 4, 1, 1] weights, float[4] bias = {0, 0, 0, 0}> {
    q = QuantizeLinear(images, scale, zero)
    x = DequantizeLinear(q, scale, zero)
    w = DequantizeLinear<axis = 0>(weights, scales, zeros)
    logits = Conv(x, w, bias)
}
"""


def test_a_graph_that_is_quantized_for_tensorrt_passes(graph_of):
    check_quantized(graph_of(QUANTIZED))


def test_a_graph_that_is_not_quantized_passes(resnet18_graph):
    check_quantized(resnet18_graph)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("int8 zero = {0}", "int8 zero = {3}", r"'conv1.q' .* zero point other than 0"),
        ("int8 zero = {0}", "uint8 zero = {0}", r"'conv1.q' .* given uint8 values; expected int8"),
        ("images, scale, zero)", "images, scale)", r"'conv1.q' .* given no zero point"),
        ("{0, 0, 0, 0}, int8[4, 4", "{0, 0, 1, 0}, int8[4, 4", r"'conv1.w' .* other than 0"),
        ("axis = 0", "axis = 1", r"'conv1.w' .* scales along axis 1 of weights; expected axis 0"),
        ("(q, scale, zero)", "(q, scales, zeros)", r"'conv1.x' .* 4 scales for the images"),
    ],
)
def test_what_tensorrt_misreads_is_refused_by_the_name_of_its_node(old, new, message, graph_of):
    assert old in QUANTIZED
    with pytest.raises(OptionError, match=message):
        check_quantized(graph_of(QUANTIZED.replace(old, new)))


def test_an_integer_bias_is_refused(graph_of):
    text = QUANTIZED.replace("float[4] bias", "int32[4] none = {0, 0, 0, 0}, int32[4] integers")
    text = text.replace(
        "logits = ", "bias = DequantizeLinear<axis = 0>(integers, scales, none)\n logits = "
    )
    with pytest.raises(OptionError, match=r"'conv1.bias' .* int32 values, as of a quantized bias"):
        check_quantized(graph_of(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("int8 zero = {0}", "int8 zero = {3}", "Non-zero zero point is not supported"),
        (
            "float[4] bias = {0, 0, 0, 0}> {",
            "int32[4] none = {0, 0, 0, 0}, int32[4] integers = {0, 0, 0, 0}> {\n"
            "    bias = DequantizeLinear<axis = 0>(integers, scales, none)",
            "type Int32",
        ),
    ],
)
def test_what_is_refused_here_tensorrt_would_refuse_later(old, new, message, graph_of):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")
    options = EngineOptions(flavour="tensorrt_rtx", profiles=(parse_profile("1:2:4", 4, 8),))
    assert build(ir.to_proto(graph_of(QUANTIZED)).SerializeToString(), options)
    assert old in QUANTIZED
    refused = graph_of(QUANTIZED.replace(old, new))
    with pytest.raises(OptionError):
        check_quantized(refused)
    with pytest.raises(EngineError, match=message):
        build(ir.to_proto(refused).SerializeToString(), options)
