"""Engines of whole networks, built for real with TensorRT-RTX, which needs no GPU to build."""

import hashlib

import onnx
import onnx_ir as ir
import pytest

from export.build import build
from export.simplify import Simplifier
from runtime.engines.engine import check_plan
from runtime.engines.options import EngineOptions
from runtime.engines.profile import parse_profile
from runtime.errors import EngineError, OptionError

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")


def rtx(text, channels, side, **options):
    profile = parse_profile(text, channels, side)
    return EngineOptions(flavour="tensorrt_rtx", profiles=(profile,), **options)


def simplified(graph):
    with Simplifier() as simplify:
        return simplify(graph).graph


@pytest.fixture(scope="module")
def resnet18_simplified(resnet18_graph):
    return simplified(resnet18_graph)


def serialize(graph):
    return ir.to_proto(graph).SerializeToString()


def test_resnet18_becomes_an_engine_that_is_the_one_described(resnet18_simplified, tmp_path):
    onnx_file = serialize(resnet18_simplified)
    options = rtx("1:8:32", 3, 224, target_sms=("sm86", "sm89", "sm120"))
    made = build(resnet18_simplified, onnx_file, 224, options)
    assert made.info.target_sms == ("sm86", "sm89", "sm120")
    assert made.info.onnx_sha256 == hashlib.sha256(onnx_file).hexdigest()
    assert made.info.precision == {"float32": 1.0}
    assert not made.info.inspected
    assert "no GPU it was built for" in made.note
    assert 0 < made.info.seconds < 600
    check_plan(made.plan, made.info, tmp_path / "fp32.plan")


def test_several_profiles_and_image_sizes_go_into_one_engine(resnet18_simplified):
    small, large = "1x3x64x64:8x3x224x224:8x3x288x288", "1x3x32x96:1x3x32x96:1x3x320x480"
    profiles = tuple(parse_profile(text, 3, 224) for text in (small, large))
    options = EngineOptions(flavour="tensorrt_rtx", profiles=profiles)
    made = build(resnet18_simplified, serialize(resnet18_simplified), 224, options)
    assert made.info.options.profiles == profiles


def test_a_classifier_of_one_channel_and_8_pixels_is_built_too(digits_graph):
    graph = simplified(digits_graph)
    assert build(graph, serialize(graph), 8, rtx("1:8:64", 1, 8)).plan


def test_a_graph_that_was_not_simplified_is_refused_by_the_names_of_its_modules(wordy_graph):
    with pytest.raises(EngineError, match=r"does not take this graph: ReduceMean '[\w.]*avgpool"):
        build(wordy_graph, serialize(wordy_graph), 8, rtx("1:8:32", 1, 8))


HALF = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 4, height, width] images) => (float[batch, 4, h, w] logits)
<float16[4, 4, 1, 1] w = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}> {
    x = Cast<to = 10>(images)
    y = Conv(x, w)
    logits = Cast<to = 1>(y)
}
"""
INTEGER = """
<ir_version: 10, opset_import: ["" : 19]>
classifier (float[batch, 4, height, width] images) => (float[batch, 4, h, w] logits)
<int8[4, 4, 1, 1] w8 = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, float scale = {0.1},
 int8 zero = {0}, float[4] scales = {1, 1, 1, 1}, int8[4] zeros = {0, 0, 0, 0}> {
    q = QuantizeLinear(images, scale, zero)
    x = DequantizeLinear(q, scale, zero)
    w = DequantizeLinear<axis = 0>(w8, scales, zeros)
    logits = Conv(x, w)
}
"""


@pytest.mark.parametrize(("text", "precision"), [(HALF, "float16"), (INTEGER, "int8")])
@pytest.mark.parametrize("target", ["sm75", "sm86"])
def test_a_graph_carries_its_precision_into_the_engine(text, precision, target):
    model = onnx.parser.parse_model(text)
    options = rtx("1:2:4", 4, 8, target_sms=(target,))
    made = build(ir.from_proto(model), model.SerializeToString(), 8, options)
    assert made.info.precision == {precision: 1.0}


def test_a_graph_whose_quantization_tensorrt_misreads_is_not_built():
    model = onnx.parser.parse_model(INTEGER.replace("int8 zero = {0}", "uint8 zero = {0}"))
    with pytest.raises(OptionError, match="TensorRT misreads"):
        build(ir.from_proto(model), model.SerializeToString(), 8, rtx("1:2:4", 4, 8))
