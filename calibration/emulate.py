"""Emulates quantized activations: a copy of the graph that rounds them to a grid as it goes.

    y = f(x)   becomes   y = f(DequantizeLinear(QuantizeLinear(x)))

for every reader f of a tensor x. Weights stay float32 and the arithmetic between the pairs is
float32: what differs from the original graph is the rounding and clipping of activations alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.ranges import ActivationRanges, Grid
from runtime.errors import OptionError

__all__ = ["emulate", "round_for"]

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
        value = values[name]
        round_for(rounded.graph, value, list(value.uses()), grid.fit(ranges[name]), grid)
    return rounded


def round_for(
    graph: ir.Graph,
    value: ir.Value,
    readers: Sequence[tuple[ir.Node, int]],
    step: tuple[float, int],
    grid: Grid,
) -> None:
    """Let the readers, nodes with input index, read the value rounded to the grid, in place.

    Args:
        graph: that the value is of.
        value: input of the graph or output of one of its nodes.
        readers: the others go on reading the value itself.
        step: scale and zero point.
        grid: what to round to.
    """
    scale, zero_point = step
    parameters = [
        _constant(graph, f"{value.name}:scale", np.array(scale, np.float32)),
        _constant(graph, f"{value.name}:zero_point", np.array(zero_point, _DTYPES[grid.name])),
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
