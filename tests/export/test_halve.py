"""Halving: float16 inside, float32 at the borders, and refusals."""

import numpy as np
import onnx_ir as ir
import pytest

from export.halve import halve, unsafe_nodes
from export.trace import trace
from runtime.errors import DeployError
from runtime.onnx_runner import OnnxRunner

IMAGES = np.random.default_rng(0).standard_normal((4, 1, 13, 9), dtype=np.float32)


def run(graph):
    return OnnxRunner.open(ir.to_proto(graph).SerializeToString()).logits(IMAGES)


def test_input_and_output_stay_float32_and_convolutions_do_not(simplified):
    half = halve(simplified)
    assert half.graph.inputs[0].dtype == half.graph.outputs[0].dtype == ir.DataType.FLOAT
    convolutions = [node for node in half.graph if node.op_type == "Conv"]
    assert convolutions
    assert {node.outputs[0].dtype for node in convolutions} == {ir.DataType.FLOAT16}


def test_halving_moves_the_logits_by_what_float16_rounds_and_leaves_the_graph(simplified):
    before = run(simplified)
    gap = np.abs(run(halve(simplified)) - before).max() / np.abs(before).max()
    assert 1e-6 < gap < 1e-2
    assert np.array_equal(run(simplified), before)


def test_a_node_that_is_to_stay_float32_does(simplified):
    half = halve(simplified, keep_float32=["layer2.0.conv1"])
    (kept,) = (node for node in half.graph if node.name == "layer2.0.conv1")
    assert kept.outputs[0].dtype == ir.DataType.FLOAT
    assert np.isfinite(run(half)).all()


def test_activations_near_the_end_of_float16_are_found_by_the_name_of_their_node(simplified):
    assert not unsafe_nodes(simplified, [IMAGES])
    assert "conv1" in unsafe_nodes(simplified, [IMAGES * np.float32(1e6)])


def test_a_norm_that_is_not_folded_is_refused(digits):
    with pytest.raises(DeployError, match="BatchNormalization that no convolution took in"):
        halve(trace(digits))


def test_a_node_that_does_not_exist_is_refused(simplified):
    with pytest.raises(DeployError, match="layer9"):
        halve(simplified, keep_float32=["layer9"])
