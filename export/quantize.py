"""Quantizes a float32 graph to int8 for one target, with the ranges that were measured.

    an activation x     q = clip(round(x / s) + z)      one scale s and zero point z for the tensor
    weights and bias    see calibration.round_weights

What was x is then (q - z) s. Where a pair of QuantizeLinear and DequantizeLinear stands, and who
reads it, is the placement's to say. Values that an operator only moves (MaxPool, Pad, Flatten)
share the scale of where they came from, so that it can move the integers.

ONNX Runtime takes `DequantizeLinear, Conv, QuantizeLinear` for a wish to have the Conv in integers,
and quantizes its float weights by itself. A node that stays in float between quantized tensors
therefore reads them through a fence, the greater of each value and the least float there is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from calibration.ranges import ActivationRanges
from calibration.rounded_tensors import WEIGHTED, tied_range
from calibration.weight_scales import WeightScales, clip_nothing
from export.quantization.placement import Placement
from export.quantization.quantize_weights import quantize_weights
from runtime.errors import OptionError

__all__ = ["quantize"]


def quantize(
    graph: ir.Model,
    ranges: ActivationRanges,
    placement: Placement,
    keep_float: Collection[str] = (),
    weight_scales: WeightScales = clip_nothing,
) -> ir.Model:
    """Return a copy of a simplified float32 graph with int8 in it, as the placement's target wants.

    Args:
        graph: BatchNormalization folded; it is left as it is. Pixels that are quantized already
            (see `export.pixels.fold_normalisation`) stay as they are.
        ranges: of the graph's activations, for the placement's grid.
        placement: TENSORRT or one for ONNX Runtime.
        keep_float: names of nodes that stay in float32; usually those of `head`, at least.
        weight_scales: how the steps of weights are chosen.

    Raises:
        OptionError: if a name is unknown, a range is missing or of another grid, or the graph is
            quantized already or holds BatchNormalization.
    """
    result = graph.clone()
    _refuse(result.graph, keep_float)
    if ranges.grid != placement.grid.name:
        raise OptionError(
            f"ranges: given for {ranges.grid}; expected for {placement.grid.name}, which "
            f"{placement.name} computes in"
        )
    dtype = ir.DataType[placement.grid.name.upper()]
    pairs = placement.pairs(result.graph, keep_float)
    # All ranges before the first pair: behind it, a tensor no longer shows where it came from.
    fitted = {
        value: placement.grid.fit(tied_range(value, pairs, ranges))
        for value in pairs
        if not _is_quantized(value)
    }
    for value, (scale, zero_point) in fitted.items():
        _insert_pair(result.graph, value, pairs[value], scale, zero_point, dtype)
    for node in tuple(result.graph):
        if placement.fenced and node.name in keep_float:
            _fence(result.graph, node)
        elif node.op_type in WEIGHTED and node.name not in keep_float:
            quantize_weights(result.graph, node, placement, weight_scales)
    return RemoveUnusedNodesPass()(result).model


def _refuse(graph: ir.Graph, keep_float: Collection[str]) -> None:
    unknown = set(keep_float) - {str(node.name) for node in graph}
    if unknown:
        raise OptionError(f"nodes to keep in float: the graph has no node '{min(unknown)}'")
    for node in graph:
        if node.op_type == "BatchNormalization":
            raise OptionError(
                f"'{node.name}' is a BatchNormalization that no convolution took in; expected a "
                "model without one, or --precision without int8"
            )
        if node.op_type in WEIGHTED and _is_quantized(node.inputs[1]):
            raise OptionError(f"'{node.name}' is quantized already; expected a float32 graph")


def _is_quantized(value: ir.Value | None) -> bool:
    node = value.producer() if value is not None else None
    return node is not None and node.op_type == "DequantizeLinear"


def _insert_pair(
    graph: ir.Graph,
    value: ir.Value,
    readers: Sequence[tuple[ir.Node, int]],
    scale: float,
    zero_point: int,
    dtype: ir.DataType,
) -> None:
    name, tape = str(value.name), ir.tape.Tape()
    parameters = [
        tape.initializer(ir.tensor(np.array(scale, np.float32), name=f"{name}.scale")),
        tape.initializer(ir.tensor(np.array(zero_point, dtype.numpy()), name=f"{name}.zero_point")),
    ]
    integers = ir.val(f"{name}.quantized", dtype, value.shape)
    floats = ir.val(f"{name}.dequantized", ir.DataType.FLOAT, value.shape)
    tape.op("QuantizeLinear", [value, *parameters], name=f"{name}.quantize", output=integers)
    tape.op("DequantizeLinear", [integers, *parameters], name=f"{name}.dequantize", output=floats)
    for node, index in readers:
        node.replace_input_with(index, floats)
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], tape.nodes)
    else:
        graph.insert_after(producer, tape.nodes)
    _register(graph, tape)


def _fence(graph: ir.Graph, node: ir.Node) -> None:
    """Keep a node in float whose result is quantized, though what it reads was quantized, too."""
    readers = [use.node for value in node.outputs for use in value.uses()]
    readers += [
        use.node for each in readers if each.op_type == "Relu" for use in each.outputs[0].uses()
    ]
    if not any(reader.op_type == "QuantizeLinear" for reader in readers):
        return
    for index, value in enumerate(node.inputs):
        if value is not None and not value.is_initializer() and _is_quantized(value):
            name, tape = f"{node.name}.fence{index}", ir.tape.Tape()
            least = tape.initializer(ir.tensor(np.finfo(np.float32).min, name=f"{name}.least"))
            fenced = ir.val(name, ir.DataType.FLOAT, value.shape)
            tape.op("Max", [value, least], name=name, output=fenced)
            node.replace_input_with(index, fenced)
            graph.insert_before(node, tape.nodes)
            _register(graph, tape)


def _register(graph: ir.Graph, tape: ir.tape.Tape) -> None:
    for initializer in tape.initializers:
        graph.register_initializer(initializer)
