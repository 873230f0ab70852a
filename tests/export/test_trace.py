"""Tracing: dynamic where it was asked for, in the model's own names, of the asked opset."""

import copy
import dataclasses

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from export.fold import fold
from export.opsets import OPSETS
from export.trace import trace, trace_static, trace_symbolically
from runtime.errors import OptionError, TraceError
from runtime.onnx_runner import OnnxRunner


def dims(value):
    return [str(d.value if isinstance(d, ir.SymbolicDim) else d) for d in value.shape]


def run(graph, images):
    return OnnxRunner.open(ir.to_proto(graph).SerializeToString()).logits(images)


def test_batch_height_and_width_are_symbols(resnet18_graph):
    assert dims(resnet18_graph.graph.inputs[0]) == ["batch", "3", "height", "width"]
    assert dims(resnet18_graph.graph.outputs[0]) == ["batch", "1000"]


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 1, 8, 8), (5, 1, 13, 40), (1, 1, 1, 1)])
def test_the_graph_runs_at_sizes_it_was_not_traced_at(digits, digits_graph, shape):
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    with torch.inference_mode():
        expected = digits.module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(digits_graph, images), expected, rtol=1e-4, atol=1e-4)


def test_the_graph_tells_nothing_of_the_machine_it_was_made_on(resnet18_graph):
    proto = ir.to_proto(resnet18_graph)
    del proto.graph.initializer[:]
    assert b"site-packages" not in proto.SerializeToString()
    assert b"test_trace" not in proto.SerializeToString()


def test_batch_normalisation_is_folded_before_the_exporter_sees_it(resnet18_graph):
    assert not any(node.op_type == "BatchNormalization" for node in resnet18_graph.graph)


def test_the_exporter_is_asked_not_to_simplify(digits):
    graph = trace_symbolically(fold(digits))
    assert any(node.op_type == "Constant" for node in graph.graph)


def test_both_ways_of_tracing_give_the_same_logits(digits, digits_graph):
    images = np.random.default_rng(0).standard_normal((3, 1, 13, 40), dtype=np.float32)
    symbolic = trace_symbolically(fold(digits))
    assert dims(symbolic.graph.inputs[0]) == dims(digits_graph.graph.inputs[0])
    np.testing.assert_allclose(run(symbolic, images), run(digits_graph, images), rtol=1e-5)


class KeepsRows(nn.Module):
    """Puts batch and height into a shape: numbers that a trace with numbers would freeze."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        return maps.reshape(maps.shape[0], 10, maps.shape[2], -1).mean((2, 3))


def test_a_module_that_computes_with_sizes_is_traced_with_symbols(digits):
    module = KeepsRows().eval()
    graph = trace(dataclasses.replace(digits, module=module))
    assert dims(graph.graph.outputs[0]) == ["batch", "10"]
    images = np.random.default_rng(0).standard_normal((3, 1, 13, 40), dtype=np.float32)
    with torch.inference_mode():
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(run(graph, images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", [OPSETS.start, OPSETS.stop - 1])
def test_the_asked_opset_is_what_is_written_and_runs(digits, opset):
    graph = trace(digits, opset)
    assert graph.opset_imports[""] == opset
    assert run(graph, np.zeros((1, 1, 8, 8), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("opset", [7, 99])
def test_an_opset_that_cannot_be_written_is_refused(digits, opset):
    with pytest.raises(OptionError, match=f"given {opset}; expected 18 to 23"):
        trace(digits, opset)


def test_a_static_graph_has_numbers_for_dimensions(digits):
    graph = trace_static(digits, (1, 1, 16, 12))
    assert dims(graph.graph.inputs[0]) == ["1", "1", "16", "12"]
    assert run(graph, np.zeros((1, 1, 16, 12), np.float32)).shape == (1, 10)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (0, 1, 8, 8), (1, 1, 8, 0)])
def test_a_static_shape_the_model_cannot_take_is_refused(digits, shape):
    with pytest.raises(OptionError, match="static shape: given"):
        trace_static(digits, shape)


class Unexportable(nn.Module):
    """Raises when it is traced, with more than one line to say."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("this model\nhas no forward")


def test_a_module_that_cannot_be_exported_is_one_line_and_what_the_module_said(digits, capfd):
    with pytest.raises(TraceError, match="RuntimeError: this model; if it takes") as error:
        trace(dataclasses.replace(digits, module=Unexportable().eval()))
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


class Deciding(nn.Module):
    """Goes one of two ways by what is in the images."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = images.flatten(2).mean(2).expand(-1, 10)
        return logits if logits.sum() > 0 else -logits


def test_the_pages_that_the_exporter_prints_of_a_module_are_not_shown(digits, capfd):
    with pytest.raises(TraceError, match="data-dependent"):
        trace(dataclasses.replace(digits, module=Deciding().eval()))
    assert capfd.readouterr() == ("", "")


def test_weights_that_lie_channels_last_leave_no_rearrangement_behind_the_pooling(digits):
    module = copy.deepcopy(digits.module).to(memory_format=torch.channels_last)
    graph = trace(fold(dataclasses.replace(digits, module=module)))
    assert {"Gather", "Reshape"}.isdisjoint(node.op_type for node in graph.graph)
