"""What is not laid out for ONNX Runtime's integer kernels is refused by the name of its node."""

import onnx_ir as ir
import pytest

from export.quantization.check_cpu_graph import check_cpu_graph
from export.quantization.read_back import optimized_operators
from runtime.errors import OptionError

QUANTIZED = """
<ir_version: 10, opset_import: ["" : 18]>
classifier (float[batch, 4, height, width] images) => (float[batch, 4, h, w] logits)
<float scale = {0.5}, uint8 zero = {7}, float[4] scales = {0.25, 0.5, 1.0, 2.0},
 int8[4] zeros = {0, 0, 0, 0}, int8[4, 4, 1, 1] weights, int32[4] integers = {80, 40, 20, 10},
 float[4] products = {0.125, 0.25, 0.5, 1.0}, int32[4] none = {0, 0, 0, 0},
 float[4] float_bias = {10, 10, 10, 10}> {
    q = QuantizeLinear(images, scale, zero)
    x = DequantizeLinear(q, scale, zero)
    w = DequantizeLinear<axis = 0>(weights, scales, zeros)
    b = DequantizeLinear<axis = 0>(integers, products, none)
    logits = Conv(x, w, b)
}
"""


def operators(graph):
    return optimized_operators(ir.to_proto(graph).SerializeToString())


def test_a_graph_that_is_quantized_for_onnxruntime_passes(graph_of):
    check_cpu_graph(graph_of(QUANTIZED))


def test_a_graph_that_is_not_quantized_passes(digits_graph):
    check_cpu_graph(digits_graph)


def test_a_layer_without_a_bias_passes(graph_of):
    check_cpu_graph(graph_of(QUANTIZED.replace("Conv(x, w, b)", "Conv(x, w)")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("uint8 zero = {7}", "int8 zero = {7}", r"'conv1.x' .* images other than uint8"),
        ("(q, scale, zero)", "(q, scale)", r"'conv1.x' .* images other than uint8"),
        ("{0, 0, 0, 0}, int8[4, 4", "{0, 0, 1, 0}, int8[4, 4", r"'conv1.w' .* zero point"),
        ("axis = 0>(weights", "axis = 1>(weights", r"'conv1.w' .* axis 1 .* expected axis 0 and 0"),
        ("Conv(x, w, b)", "Conv(x, w, float_bias)", r"'conv1.logits' .* a bias other than int32"),
        ("none = {0, 0", "none = {0, 3", r"'conv1.b' .* int32 with zero point 0"),
        ("0.125, 0.25,", "0.125, 0.26,", r"'conv1.b' .* a bias of its own scale"),
        ("{0.5}", "{0}", r"'conv1.q' .* has the scale 0; expected a number above 0"),
        ("{0.25, 0.5,", "{0.25, -0.5,", r"'conv1.w' .* has the scale -0.5"),
    ],
)
def test_what_is_not_laid_out_for_onnxruntime_is_refused_by_its_node(old, new, message, graph_of):
    assert old in QUANTIZED
    with pytest.raises(OptionError, match=message) as refused:
        check_cpu_graph(graph_of(QUANTIZED.replace(old, new)))
    assert "\n" not in str(refused.value)


def test_a_layer_that_stays_in_float_may_read_what_others_read_as_integers(graph_of):
    plain = "float[4, 4, 1, 1] plain = {" + ", ".join(["1"] * 16) + "}, int32[4] integers"
    text = QUANTIZED.replace("int32[4] integers", plain)
    check_cpu_graph(graph_of(text.replace("(x, w, b)", "(x, plain, float_bias)")))
    pair = "p = QuantizeLinear(y, scale, zero)\n logits = DequantizeLinear(p, scale, zero)"
    wish = f"y = Conv(x, plain, float_bias)\n {pair}"
    with pytest.raises(OptionError, match=r"'conv1.y' .* weights other than int8"):
        check_cpu_graph(graph_of(text.replace("logits = Conv(x, w, b)", wish)))


def test_weights_that_stay_in_float_are_refused(graph_of):
    text = QUANTIZED.replace("int32[4] integers", "float[4, 4, 1, 1] plain, int32[4] integers")
    weights = ", ".join(["1"] * 16)
    text = text.replace("plain,", f"plain = {{{weights}}},").replace("(x, w, b)", "(x, plain, b)")
    with pytest.raises(OptionError, match=r"'conv1.logits' .* weights other than int8"):
        check_cpu_graph(graph_of(text))


def test_what_is_refused_here_onnxruntime_would_run_in_float(graph_of):
    pair = "p = QuantizeLinear(y, wide, middle)\n logits = DequantizeLinear(p, wide, middle)"
    text = QUANTIZED.replace("logits = Conv(x, w, b)", f"y = Conv(x, w, b)\n {pair}")
    text = text.replace("<float scale", "<float wide = {50}, uint8 middle = {128}, float scale")
    other = text.replace("0.125, 0.25,", "0.125, 25.0,")
    check_cpu_graph(graph_of(text))
    assert operators(graph_of(text))["QLinearConv"] == 1
    with pytest.raises(OptionError, match="a bias of its own scale"):
        check_cpu_graph(graph_of(other))
    assert operators(graph_of(other))["QLinearConv"] == 0
    assert operators(graph_of(other))["Conv"] == 1
