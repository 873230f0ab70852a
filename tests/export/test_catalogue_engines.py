"""Every family of the catalogue as an engine, built for real with TensorRT-RTX."""

import onnx_ir as ir
import pytest

from calibration.ranges import ActivationRanges, Range
from calibration.rounded_tensors import head
from calibration.tap import activations
from export.build import build
from export.fold import fold
from export.halve import halve
from export.load import load
from export.load_options import LoadOptions
from export.quantization.placement import TENSORRT
from export.quantize import quantize
from export.simplify import Simplifier
from export.trace import trace, trace_static
from runtime.engines.options import EngineOptions
from runtime.engines.plan_header import read_plan_header
from runtime.engines.profile import parse_profile

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra 'rtx'")

FAMILIES = (
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "small_resnet18",
    "cifar_resnet20",
    "resnet20-digits",
)
"""The smallest of each family, and of each kind of block."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Return a classifier and its simplified graph."""
    classifier = load(request.param, LoadOptions())
    with Simplifier() as simplify:
        return classifier, simplify(trace(fold(classifier))).graph


def build_for_rtx(classifier, graph, *profiles, sms=("sm86", "sm89", "sm120")):
    side, channels = classifier.image.crop, classifier.in_channels
    options = EngineOptions(
        flavour="tensorrt_rtx",
        profiles=tuple(parse_profile(text, channels, side) for text in profiles),
        target_sms=sms,
    )
    return build(graph, ir.to_proto(graph).SerializeToString(), side, options)


def test_float32_with_dynamic_batch_and_size(family):
    classifier, graph = family
    side, channels = classifier.image.crop, classifier.in_channels
    sizes = f"1x{channels}x{side}x{side}:2x{channels}x{side}x{side}:4x{channels}x{2 * side}x{side}"
    made = build_for_rtx(classifier, graph, "1:8:32", sizes)
    assert made.info.precision == {"float32": 1.0}
    assert read_plan_header(made.plan).sms == ("sm86", "sm89", "sm120")


def test_float16_for_turing_and_newer(family):
    classifier, graph = family
    half = halve(graph)
    assert build_for_rtx(classifier, half, "1:8:32").info.precision == {"float16": 1.0}
    turing = build_for_rtx(classifier, half, "1:8:32", sms=("sm75",))
    assert read_plan_header(turing.plan).sms == ("sm75",)


def test_int8_alone_and_with_float16_around_it(family):
    classifier, graph = family
    # What the ranges are decides how exact an engine is, not whether it can be built.
    some = {name: Range(low=-4.0, high=4.0) for name in activations(graph)}
    ranges = ActivationRanges(grid="int8", method="none", tensors=some)
    integers = quantize(graph, ranges, TENSORRT, head(graph))
    assert build_for_rtx(classifier, integers, "1:8:32").info.precision == {"int8": 1.0}
    mixed = halve(integers)
    assert build_for_rtx(classifier, mixed, "1:8:32").info.precision == {"int8": 1.0}


def test_a_static_graph_needs_no_profile(digits):
    with Simplifier() as simplify:
        graph = simplify(trace_static(fold(digits), (4, 1, 8, 8))).graph
    assert build_for_rtx(digits, graph).plan
