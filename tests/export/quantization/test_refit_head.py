"""Refitting a float head: on images that no fit has seen, and on features that leave nothing."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from calibration.choose import choose
from calibration.measure import measure
from calibration.rounded_tensors import head
from export.halve import halve
from export.pixels import normalise_inside
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantization.refit_head import (
    features_as_written,
    features_in_integers,
    refit_head,
)
from export.quantize import quantize
from runtime.errors import OptionError

PLACEMENTS = (TENSORRT, ONNXRUNTIME)


def run(graph, images):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    model = ir.to_proto(graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0].astype(np.float64)


def sqnr_db(expected, actual):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - actual).sum())


def logits(graph, features):
    gemm = next(node for node in graph.graph if node.op_type == "Gemm")
    weight, bias = (value.const_value.numpy().astype(np.float64) for value in gemm.inputs[1:])
    weights = weight if gemm.attributes.get_int("transB", 0) else weight.T
    return features.astype(np.float64) @ weights.T + bias


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
    refitted = refit_head(graph, run(simplified, fit), features_as_written(graph, [fit]))
    expected = run(simplified, others)
    assert sqnr_db(expected, run(refitted, others)) > sqnr_db(expected, run(graph, others)) + 0.1


def test_features_in_integers_are_those_as_written_but_for_rounding(quantized, scans):
    graph = quantized["onnxruntime"]
    written = features_as_written(graph, [scans[:64]])
    assert sqnr_db(written, features_in_integers(graph, [scans[:40], scans[40:64]])) > 30


def test_logits_that_lost_nothing_leave_the_head_alone(quantized, scans):
    graph = quantized["tensorrt"]
    features = features_as_written(graph, [scans[:64]])
    refitted = refit_head(graph, logits(graph, features), features)
    assert np.array_equal(run(refitted, scans), run(graph, scans))


def test_noise_that_nothing_tells_is_not_fitted(quantized, scans):
    # As many features as images: without leaving images out, the fit would be perfect.
    graph = quantized["tensorrt"]
    features = features_as_written(graph, [scans[:64]])
    expected = logits(graph, features)
    noise = np.random.default_rng(0).standard_normal(expected.shape)
    refitted = refit_head(graph, expected + 0.1 * noise, features)
    assert np.array_equal(run(refitted, scans), run(graph, scans))


def test_features_come_from_batches_in_order_and_from_pixels_too(simplified, digits, scans):
    whole = features_as_written(simplified, [scans[:10]])
    np.testing.assert_allclose(
        features_as_written(simplified, [scans[:7], scans[7:10]]), whole, atol=1e-5
    )
    pixels = np.rint(load_digits().images[:10, None] * 255 / 16).astype(np.uint8)
    inside = normalise_inside(simplified, digits.image)
    np.testing.assert_allclose(features_as_written(inside, [pixels]), whole, atol=1e-5)


def test_a_head_in_float16_keeps_its_type(simplified, quantized, scans):
    half = halve(quantized["tensorrt"])
    fit = scans[:128]
    refitted = refit_head(half, run(simplified, fit), features_as_written(half, [fit]))
    gemm = next(node for node in refitted.graph if node.op_type == "Gemm")
    assert {value.dtype for value in gemm.inputs[1:]} == {ir.DataType.FLOAT16}
    assert sqnr_db(run(half, scans), run(refitted, scans)) > 30


def test_the_graph_that_is_given_stays_as_it_is(quantized, scans):
    graph = quantized["onnxruntime"]
    before = ir.to_proto(graph).SerializeToString()
    features = features_in_integers(graph, [scans[:16]])
    refit_head(graph, 1.1 * logits(graph, features), features)
    assert ir.to_proto(graph).SerializeToString() == before


@pytest.mark.parametrize("look", [features_as_written, features_in_integers])
def test_a_head_that_is_quantized_is_refused(simplified, scans, look):
    ranges = choose(measure(simplified, [scans[:16]]), "minmax", TENSORRT.grid)
    whole = quantize(simplified, ranges, TENSORRT)
    with pytest.raises(OptionError, match="is quantized; expected one left in float"):
        look(whole, [scans[:2]])
