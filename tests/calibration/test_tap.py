"""Tapping: it acts, it abstains, the numbers hold."""

import numpy as np
import onnx_ir as ir
import pytest

from calibration.probe import Probe
from calibration.tap import activations, tap
from runtime.errors import BackendError, OptionError
from runtime.onnx_runner import OnnxRunner

IMAGES = np.random.default_rng(0).standard_normal((3, 1, 9, 7), dtype=np.float32)


def test_all_is_measured_but_what_a_relu_absorbs(graph):
    assert activations(graph) == (
        "images",
        "stem_relu",
        "pool",
        "conv1_relu",
        "conv2",
        "sum_relu",
        "mean",
        "flat",
        "logits",
    )


def test_a_convolution_that_two_nodes_read_is_measured():
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        two (float[batch, 1, 8, 8] images, float[1, 1, 1, 1] weight)
            => (float[batch, 1, 8, 8] sum) {
            conv = Conv(images, weight)
            relu = Relu(conv)
            sum = Add(conv, relu)
        }
    """)
    assert "conv" in activations(graph)


def test_integers_are_not_measured():
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        shaped (float[batch, 4] images) => (float[batch, 4] logits) {
            shape = Shape(images)
            logits = Reshape(images, shape)
        }
    """)
    assert activations(graph) == ("images", "logits")


def test_tapping_adds_outputs_and_leaves_logits_and_the_original_as_they_are(graph):
    tapped = tap(graph, ["pool", "sum_relu"])
    assert [value.name for value in tapped.graph.outputs] == ["logits", "pool", "sum_relu"]
    assert [value.name for value in graph.graph.outputs] == ["logits"]
    weight = "conv1_weight"
    shared = tapped.graph.initializers[weight].const_value
    assert shared is graph.graph.initializers[weight].const_value


def test_probe_hands_out_what_the_nodes_computed(graph):
    seen = Probe(graph, activations(graph)).run(IMAGES)
    assert np.array_equal(seen["images"], IMAGES)
    assert np.array_equal(seen["flat"], seen["mean"][:, :, 0, 0])
    np.testing.assert_allclose(seen["mean"], seen["sum_relu"].mean((2, 3), keepdims=True), 1e-5)
    np.testing.assert_allclose(
        seen["sum_relu"], np.maximum(seen["conv2"] + seen["pool"], 0), rtol=1e-5, atol=1e-6
    )
    logits = OnnxRunner.open(ir.to_proto(graph).SerializeToString()).logits(IMAGES)
    np.testing.assert_allclose(seen["logits"], logits, rtol=1e-5)


def test_probe_of_a_fixed_batch_runs_on_fewer_images(graph):
    fixed = graph.clone()
    fixed.graph.inputs[0].shape = ir.Shape([8, 1, 9, 7])
    expected, actual = (Probe(each, ["sum_relu", "logits"]).run(IMAGES) for each in (graph, fixed))
    for name in ("sum_relu", "logits"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-6)


def test_probe_says_in_one_line_that_images_do_not_fit(graph):
    with pytest.raises(BackendError, match=r"cannot run on images of shape \[1, 3, 8, 8\]"):
        Probe(graph, ["logits"]).run(np.zeros((1, 3, 8, 8), np.float32))


def test_a_tensor_that_no_node_makes_is_refused(graph):
    with pytest.raises(OptionError, match="the graph has no tensor 'layer9'"):
        tap(graph, ["layer9"])


def test_a_quantized_graph_is_refused():
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        quantized (float[batch, 4] images) => (float[batch, 4] logits)
        <float scale = {0.1}, int8 zero = {0}> {
            [first] integers = QuantizeLinear(images, scale, zero)
            [second] logits = DequantizeLinear(integers, scale, zero)
        }
    """)
    with pytest.raises(OptionError, match=r"quantized already \(QuantizeLinear 'first'\)"):
        activations(graph)


def test_a_float16_graph_is_refused():
    graph = ir.from_onnx_text("""
        <ir_version: 10, opset_import: ["" : 18]>
        half (float[batch, 4] images) => (float[batch, 4] logits) {
            narrow = Cast<to = 10>(images)
            relu = Relu(narrow)
            logits = Cast<to = 1>(relu)
        }
    """)
    with pytest.raises(OptionError, match=r"computes 'narrow' in 16 bits; expected a float32"):
        activations(graph)
