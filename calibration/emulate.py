"""Emulates quantized activations: a copy of the graph that rounds them to a grid as it goes.

    y = f(x)   becomes   y = f(DequantizeLinear(QuantizeLinear(x)))

for every reader f of a tensor x. Weights stay float32 and the arithmetic between the pairs is
float32: what differs from the original graph is the rounding and clipping of activations alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.ranges import ActivationRanges, Grid
from runtime.errors import OptionError

__all__ = ["emulate"]

_DTYPES = {"int8": np.dtype(np.int8), "uint8": np.dtype(np.uint8)}


def emulate(
    graph: ir.Model, ranges: ActivationRanges, grid: Grid, tensors: Collection[str]
) -> ir.Model:
    """Return a copy of the graph in which the named tensors are rounded to the grid.

    Args:
        graph: float32; not changed, and its weights are shared with the copy.
        ranges: chosen for the grid.
        grid: what to round to.
        tensors: inputs of the graph or outputs of its nodes. One that is an output of the graph
            stays as it is there.

    Raises:
        OptionError: if the ranges are of another grid, or a tensor is unknown to them or the graph.
    """
    if ranges.grid != grid.name:
        raise OptionError(f"ranges: given for {ranges.grid}; expected for {grid.name}")
    rounded = graph.clone()
    values = {value.name: value for value in rounded.graph.inputs}
    values |= {value.name: value for node in rounded.graph for value in node.outputs}
    for name in tensors:
        if name not in values:
            raise OptionError(f"the graph has no tensor '{name}'")
        _round(rounded.graph, values[name], *grid.fit(ranges[name]), _DTYPES[grid.name])
    return rounded


def _round(
    graph: ir.Graph, value: ir.Value, scale: float, zero_point: int, dtype: np.dtype[Any]
) -> None:
    readers = list(value.uses())
    parameters = [
        _constant(graph, f"{value.name}:scale", np.array(scale, np.float32)),
        _constant(graph, f"{value.name}:zero_point", np.array(zero_point, dtype)),
    ]
    to_grid = ir.Node("", "QuantizeLinear", [value, *parameters])
    from_grid = ir.Node("", "DequantizeLinear", [to_grid.outputs[0], *parameters])
    to_grid.outputs[0].name = f"{value.name}:quantized"
    from_grid.outputs[0].name = f"{value.name}:rounded"
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], [to_grid, from_grid])
    else:
        graph.insert_after(producer, [to_grid, from_grid])
    for node, index in readers:
        node.replace_input_with(index, from_grid.outputs[0])


def _constant(graph: ir.Graph, name: str, content: NDArray[Any]) -> ir.Value:
    tensor = ir.tensor(content, name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(()), type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value
