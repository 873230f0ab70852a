"""Refitting a float head: on images that no fit has seen, and on features that leave nothing."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from calibration.choose import choose
from calibration.measure import measure
from export.fold import fold
from export.halve import halve
from export.pixels import normalise_inside
from export.quantization.placement import ONNXRUNTIME, TENSORRT, head
from export.quantization.refit_head import head_features, refit_head
from export.quantize import quantize
from export.recipes import float32
from runtime.errors import OptionError
from runtime.terminal import Screen

PLACEMENTS = (TENSORRT, ONNXRUNTIME)


def run(graph, images):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    model = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0].astype(np.float64)


def sqnr_db(expected, actual):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - actual).sum())


@pytest.fixture(scope="module")
def simplified(digits):
    return float32(fold(digits), 18, Screen(quiet=True)).graph


@pytest.fixture(scope="module")
def scans(digits):
    """Scans in the order of the set, [700, 1, 8, 8]: normalised."""
    pixels = np.rint(load_digits().images[:700, None] * 255 / 16)
    mean, std = digits.image.mean[0], digits.image.std[0]
    return ((pixels / 255 - mean) / std).astype(np.float32)


@pytest.fixture(scope="module")
def quantized(simplified, scans):
    """The graph for each target, whose ranges 64 images have chosen."""
    measured = measure(simplified, [scans[:64]])
    return {
        each.name: quantize(
            simplified, choose(measured, "minmax", each.grid), each, head(simplified)
        )
        for each in PLACEMENTS
    }


@pytest.mark.parametrize("placement", PLACEMENTS, ids=lambda p: p.name)
def test_a_refitted_head_is_nearer_on_images_it_was_not_fitted_to(
    simplified, quantized, scans, placement
):
    graph = quantized[placement.name]
    fit, others = scans[:256], scans[256:]
    refitted = refit_head(graph, *(head_features(g, [fit]) for g in (simplified, graph)))
    expected = run(simplified, others)
    assert sqnr_db(expected, run(refitted, others)) > sqnr_db(expected, run(graph, others)) + 0.1


def test_features_that_lost_nothing_leave_the_head_alone(simplified, quantized, scans):
    graph = quantized["tensorrt"]
    features = head_features(graph, [scans[:64]])
    assert np.array_equal(run(refit_head(graph, features, features), scans), run(graph, scans))


def test_noise_that_nothing_tells_is_not_fitted(quantized, scans):
    # As many features as images: without leaving images out, the fit would be perfect.
    graph = quantized["tensorrt"]
    features = head_features(graph, [scans[:64]])
    noise = np.random.default_rng(0).standard_normal(features.shape)
    refitted = refit_head(graph, features + 0.1 * noise, features)
    assert np.array_equal(run(refitted, scans), run(graph, scans))


def test_features_come_from_batches_in_order_and_from_pixels_too(simplified, digits, scans):
    whole = head_features(simplified, [scans[:10]])
    np.testing.assert_allclose(
        head_features(simplified, [scans[:7], scans[7:10]]), whole, atol=1e-5
    )
    pixels = np.rint(load_digits().images[:10, None] * 255 / 16).astype(np.uint8)
    inside = normalise_inside(simplified, digits.image)
    np.testing.assert_allclose(head_features(inside, [pixels]), whole, atol=1e-5)


def test_a_head_in_float16_keeps_its_type(simplified, quantized, scans):
    half = halve(quantized["tensorrt"])
    features = [head_features(graph, [scans[:128]]) for graph in (simplified, half)]
    refitted = refit_head(half, *features)
    gemm = next(node for node in refitted.graph if node.op_type == "Gemm")
    assert {value.dtype for value in gemm.inputs[1:]} == {ir.DataType.FLOAT16}
    assert sqnr_db(run(half, scans), run(refitted, scans)) > 30


def test_the_graph_that_is_given_stays_as_it_is(quantized, scans):
    graph = quantized["onnxruntime"]
    before = ir.to_proto(graph).SerializeToString()
    features = head_features(graph, [scans[:16]])
    refit_head(graph, features * 1.1, features)
    assert ir.to_proto(graph).SerializeToString() == before


def test_a_head_that_is_quantized_is_refused(simplified, scans):
    ranges = choose(measure(simplified, [scans[:16]]), "minmax", TENSORRT.grid)
    whole = quantize(simplified, ranges, TENSORRT)
    with pytest.raises(OptionError, match="is quantized; expected one left in float"):
        head_features(whole, [scans[:2]])
