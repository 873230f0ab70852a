"""What ONNX Runtime makes of a quantized graph, read from its own optimized model."""

import numpy as np
import onnx_ir as ir
import pytest

from calibration.choose import choose
from calibration.measure import measure
from calibration.rounded_tensors import head
from export.fold import fold
from export.quantization.placement import ONNXRUNTIME, TENSORRT
from export.quantization.read_back import optimized_operators
from export.quantize import quantize
from export.recipes import float32
from runtime.errors import BackendError
from runtime.terminal import Screen


@pytest.fixture(scope="module", params=["digits", "resnet18"])
def simplified(request):
    return float32(fold(request.getfixturevalue(request.param)), 18, Screen(quiet=True)).graph


def quantized_for(simplified, placement):
    channels = simplified.graph.inputs[0].shape[1]
    images = np.random.default_rng(0).standard_normal((2, channels, 32, 32), dtype=np.float32)
    ranges = choose(measure(simplified, [images]), "minmax", placement.grid)
    return ir.to_proto(quantize(simplified, ranges, placement, head(simplified)))


def test_every_convolution_and_every_addition_of_the_cpu_graph_runs_in_integers(simplified):
    operators = optimized_operators(quantized_for(simplified, ONNXRUNTIME).SerializeToString())
    before = [node.op_type for node in simplified.graph]
    assert operators["QLinearConv"] == before.count("Conv")
    assert operators["QLinearAdd"] == before.count("Add")
    assert not {"Conv", "FusedConv", "Relu", "Add"} & set(operators)


def test_the_tensorrt_graph_would_run_in_float_on_the_cpu(simplified):
    operators = optimized_operators(quantized_for(simplified, TENSORRT).SerializeToString())
    assert operators["QLinearConv"] == 0
    assert operators["Conv"] + operators["FusedConv"] > 0


def test_what_is_no_model_is_refused():
    with pytest.raises(BackendError, match="cannot run the model"):
        optimized_operators(b"no model")
