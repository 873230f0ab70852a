"""Emulates a graph of which some nodes are quantized, weights included; the rest stays in float32.

    INT8, as TensorRT fuses    y = f(Q(x), Q(w))      what a Conv, Gemm or average pool reads; with
                                                      a Conv also the shortcut of its Add
    UINT8, as ONNX Runtime     y = Q(f(Q(x), Q(w)))   what a node reads, and what it makes, behind
                                                      its Relu

Q rounds an activation to the one scale of its tensor, and a weight to that of its output channel.
The arithmetic is float32. `export.quantize` writes the graphs that compute this in integers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from calibration.ranges import ActivationRanges, Grid
from calibration.round_weights import round_weights
from calibration.rounded_tensors import (
    MOVING,
    WEIGHTED,
    Readers,
    node_input,
    onnxruntime_readers,
    tensorrt_readers,
    tied_range,
)
from calibration.tap import with_types
from calibration.weight_scales import clip_nothing
from runtime.errors import OptionError

__all__ = ["emulate_nodes", "fit_steps", "quantizable"]


def quantizable(graph: ir.Model, grid: Grid) -> tuple[str, ...]:
    """Return the names of the nodes that the grid's target can compute in integers, in order.

    Where it fuses an Add into the Conv before it, the Add is a part of that Conv.

    Raises:
        OptionError: if a node has no name.
    """
    if not all(node.name for node in graph.graph):
        raise OptionError("the graph has nodes without names; expected one that export made")
    kinds = (*WEIGHTED, "GlobalAveragePool", *(() if grid.symmetric else ("Add", "MaxPool")))
    return tuple(
        str(node.name)
        for node in with_types(graph).graph
        if node.op_type in kinds and node_input(node, 0).dtype == ir.DataType.FLOAT
    )


def emulate_nodes(
    graph: ir.Model, ranges: ActivationRanges, grid: Grid, nodes: Collection[str]
) -> ir.Model:
    """Return a copy of the graph that computes what it would with these nodes in integers.

    Args:
        graph: float32, BatchNormalization folded; not changed.
        ranges: chosen for the grid.
        grid: of the target.
        nodes: names; those that the graph does not have are left out.

    Raises:
        OptionError: if the ranges are of another grid, or lack a tensor.
    """
    result = graph.clone()
    chosen = _chosen(result.graph, nodes)
    readers = _readers(result.graph, chosen, grid)
    steps = _fit(readers, ranges, grid)
    for node in chosen:
        if node.op_type in WEIGHTED:
            scale, _ = steps[node_input(node, 0)]
            # TensorRT adds the bias in float; ONNX Runtime in int32.
            _round_weights(result.graph, node, None if grid.symmetric else float(np.float32(scale)))
    for value, step in steps.items():
        _round(result.graph, value, readers[value], step, grid)
    return RemoveUnusedNodesPass()(result).model


def fit_steps(
    graph: ir.Model, ranges: ActivationRanges, grid: Grid, nodes: Collection[str]
) -> dict[str, NDArray[Any]]:
    """Return the scales and zero points in `emulate_nodes`'s graph: scalars by initializer.

    Raises:
        OptionError: as `emulate_nodes`.
    """
    readers = _readers(graph.graph, _chosen(graph.graph, nodes), grid)
    parameters: dict[str, NDArray[Any]] = {}
    for value, step in _fit(readers, ranges, grid).items():
        parameters |= _parameters(value, step, grid)
    return parameters


def _chosen(graph: ir.Graph, nodes: Collection[str]) -> list[ir.Node]:
    return [node for node in graph if node.name in nodes]


def _readers(graph: ir.Graph, chosen: Collection[ir.Node], grid: Grid) -> Readers:
    if not grid.symmetric:
        return onnxruntime_readers(chosen)
    # What is no kernel of its own goes along with the convolution that it stands behind.
    fused = [node for node in graph if node in chosen or node.op_type in {"Add", *MOVING}]
    return tensorrt_readers(graph, fused)


def _fit(
    readers: Readers, ranges: ActivationRanges, grid: Grid
) -> dict[ir.Value, tuple[float, int]]:
    if ranges.grid != grid.name:
        raise OptionError(f"ranges: given for {ranges.grid}; expected for {grid.name}")
    return {value: grid.fit(tied_range(value, readers, ranges)) for value in readers}


def _parameters(value: ir.Value, step: tuple[float, int], grid: Grid) -> dict[str, NDArray[Any]]:
    scale, zero_point = step
    return {
        f"{value.name}:scale": np.array(scale, np.float32),
        f"{value.name}:zero_point": np.array(zero_point, grid.name),
    }


def _round(
    graph: ir.Graph,
    value: ir.Value,
    readers: Sequence[tuple[ir.Node, int]],
    step: tuple[float, int],
    grid: Grid,
) -> None:
    """Let the readers, nodes with input index, read the value rounded to the grid."""
    parameters = [
        ir.val(name, const_value=ir.tensor(content, name=name))
        for name, content in _parameters(value, step, grid).items()
    ]
    for parameter in parameters:
        graph.register_initializer(parameter)
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


def _round_weights(graph: ir.Graph, node: ir.Node, input_scale: float | None) -> None:
    for index, rounded in enumerate(round_weights(node, 127, clip_nothing, input_scale), 1):
        if rounded is not None:
            tensor = ir.tensor(rounded.values, name=f"{node.name}:rounded {index}")
            shape = list(rounded.integers.shape)
            value = ir.val(str(tensor.name), tensor.dtype, shape, const_value=tensor)
            graph.register_initializer(value)
            node.replace_input_with(index, value)
