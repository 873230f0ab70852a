import onnx
import onnx_ir as ir
import pytest

from export.models.count import count_macs
from export.pixels import normalise_inside
from export.promise_precision import promise_precision
from runtime.errors import OptionError

MIXED = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 4, height, width] images) => (float16[batch, 2, h, w] logits)
<float[4, 4, 3, 3] stem = {STEM}, float scale = {0.1}, int8 zero = {0}, int8[8, 2, 1, 1] w8 = {W8},
 float16[2, 8, 1, 1] w16 = {W16}> {
    a = Conv<strides = [2, 2], pads = [1, 1, 1, 1]>(images, stem)
    q = QuantizeLinear(a, scale, zero)
    x = DequantizeLinear(q, scale, zero)
    w = DequantizeLinear(w8, scale, zero)
    b = Conv<group = 2>(x, w)
    half = Cast<to = 10>(b)
    logits = Conv(half, w16)
}
"""


def graph(text):
    for name, count in {"STEM": 144, "W8": 16, "W16": 16}.items():
        text = text.replace(name, ", ".join(["1"] * count))
    return ir.from_proto(onnx.parser.parse_model(text))


def test_every_convolution_counts_in_its_own_precision():
    promise = promise_precision(graph(MIXED), 16, 32)
    pixels = 8 * 16
    assert promise.macs == {"float32": 144 * pixels, "int8": 16 * pixels, "float16": 16 * pixels}
    assert (promise.height, promise.width) == (16, 32)


def test_a_convolution_of_which_only_the_weights_are_integers_runs_in_float():
    text = MIXED.replace("Conv<group = 2>(x, w)", "Conv<group = 2>(a, w)")
    assert "int8" not in promise_precision(graph(text), 16, 16).macs


def test_a_whole_network_counts_what_its_module_counts(resnet18, resnet18_graph):
    promised = promise_precision(resnet18_graph, 224, 224).macs
    classifier = 512 * 1000
    assert promised == {"float32": count_macs(resnet18.module, 3, 224, 224) - classifier}


def test_the_graph_is_left_as_it_is(resnet18_graph):
    before = [str(value.shape) for value in resnet18_graph.graph.inputs]
    promise_precision(resnet18_graph, 64, 64)
    assert [str(value.shape) for value in resnet18_graph.graph.inputs] == before


def test_an_image_that_the_graph_cannot_take_is_refused():
    text = MIXED.replace("pads = [1, 1, 1, 1]", "pads = [0, 0, 0, 0]")
    with pytest.raises(OptionError, match="given 1x1; expected one that"):
        promise_precision(graph(text), 1, 1)


def test_pixels_that_lie_one_after_another_change_no_count(resnet18_graph, resnet18):
    pixels = normalise_inside(resnet18_graph, resnet18.image, "NHWC")
    expected = promise_precision(resnet18_graph, 64, 96)
    assert promise_precision(pixels, 64, 96) == expected


GROUPED = """
<ir_version: 10, opset_import: ["" : 18]>
classifier (float[batch, 3, height, width] images) => (float[batch, 2, h, w] logits)
<float[4, 3, 1, 1] first = {FIRST}, float[2, 4, 1, 1] last = {LAST}, int64[3] groups = {0, 2, -1},
 float[2] one = {1, 1}> {
    a = Conv(images, first)
    grouped = Reshape(a, groups)
    normal = InstanceNormalization(grouped, one, one)
    size = Shape(a)
    b = Reshape(normal, size)
    logits = Conv(b, last)
}
"""


def test_layers_behind_a_group_normalisation_count_too():
    text = GROUPED.replace("FIRST", ", ".join(["1"] * 12)).replace("LAST", ", ".join(["1"] * 8))
    graph = ir.from_proto(onnx.parser.parse_model(text))
    assert promise_precision(graph, 5, 7).macs == {"float32": 20 * 35}
