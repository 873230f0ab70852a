"""Standardizing: it acts, it abstains, the numbers hold."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from export.standardize import standardize

TEXT = """
<ir_version: 10, opset_import: ["" : 18]>
pooled (float[batch, 4, height, width] images) => (float[batch, 4] logits)
<int64[2] axes = {%s}, int64[2] shape = {%s}> {
    mean = ReduceMean<keepdims = 1>(images, axes)
    logits = Reshape(mean, shape)
}
"""

IMAGES = np.random.default_rng(0).standard_normal((2, 4, 5, 3), dtype=np.float32)


def graph(axes: str = "-1, -2", shape: str = "-1, 4") -> ir.Model:
    proto = onnx.parser.parse_model(TEXT % (axes, shape))
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def run(model: ir.Model) -> np.ndarray:
    return ReferenceEvaluator(ir.to_proto(model)).run(None, {"images": IMAGES})[0]


@pytest.mark.parametrize("axes", ["-1, -2", "2, 3", "3, -2"])
@pytest.mark.parametrize("shape", ["-1, 4", "0, 4", "0, -1"])
def test_the_exporters_spelling_becomes_the_fields_and_the_numbers_hold(axes, shape):
    model = graph(axes, shape)
    expected = run(model)
    assert standardize(model) == 2
    assert operators(model) == ["GlobalAveragePool", "Flatten"]
    np.testing.assert_allclose(run(model), expected, rtol=1e-6)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_the_constants_that_held_axes_and_shape_are_dropped():
    model = graph()
    standardize(model)
    assert not model.graph.initializers


def test_a_mean_over_other_axes_is_left_alone():
    model = graph(axes="1, 3", shape="0, -1")
    standardize(model)
    assert operators(model)[0] == "ReduceMean"


def test_a_second_run_finds_nothing():
    model = graph()
    standardize(model)
    assert standardize(model) == 0
