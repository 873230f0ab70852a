"""Placement: where a target wants its pairs of QuantizeLinear and DequantizeLinear.

A target computes in integers only where it finds the pattern it looks for, and the two look for
different ones. No single graph serves both.

                 TENSORRT                               ONNXRUNTIME
    activations  int8, zero point 0                     uint8, any zero point
    bias         float (int32 is a parse error)         int32, scale = input scale * weight scale
    pairs on     every input of Conv and Gemm, and      every input and output; between an operator
                 the shortcut input of Add              and the Relu behind it there is none

TensorRT pulls the next consumer's QuantizeLinear back through Relu into the kernel before it. In
Conv + Add + Relu the Add is fused into the Conv of the main branch, so that Conv's output must stay
bare, and the kernel's output type follows the shortcut's: hence a pair there, and only there. An
identity shortcut shares the pair of the block's first Conv.

ONNX Runtime turns `DequantizeLinear, operator, QuantizeLinear` into one integer operator, and drops
a Relu whose QuantizeLinear has its type's minimum as zero point: with int8 and zero point 0 the
Relu would stay, and the Conv before it would run in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import onnx_ir as ir

from calibration.ranges import INT8, UINT8, Grid
from calibration.rounded_tensors import (
    MOVING,
    WEIGHTED,
    Readers,
    node_input,
    onnxruntime_readers,
    tensorrt_readers,
)
from runtime.open_runner import PLACED_FOR_TENSORRT
from runtime.vnni import PLACED_FOR_VNNI

__all__ = [
    "ONNXRUNTIME",
    "ONNXRUNTIME_WITHOUT_VNNI",
    "QUANTIZABLE",
    "TENSORRT",
    "Placement",
]

QUANTIZABLE = WEIGHTED | MOVING | {"Add", "GlobalAveragePool"}
"""Operators that integers can be computed in; a Relu runs as the operator before it."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a target wants its integers."""

    name: str
    grid: Grid
    """Of the activations."""
    integer_bias: bool
    """Whether the bias becomes int32; it stays as it is otherwise."""
    largest_weight: int
    """Weights are -largest_weight to largest_weight."""
    fenced: bool
    """Whether float nodes between quantized tensors would be quantized, were they not fenced."""
    pairs: Callable[[ir.Graph, Collection[str]], Readers]
    """Where the pairs stand in a graph, given the names of the nodes that stay in float."""


def _read_by_tensorrt(graph: ir.Graph, keep_float: Collection[str]) -> Readers:
    return tensorrt_readers(graph, _integer_nodes(graph, keep_float))


def _read_by_onnxruntime(graph: ir.Graph, keep_float: Collection[str]) -> Readers:
    return onnxruntime_readers(_integer_nodes(graph, keep_float))


TENSORRT = Placement(
    name=PLACED_FOR_TENSORRT,
    grid=INT8,
    integer_bias=False,
    largest_weight=127,
    fenced=False,
    pairs=_read_by_tensorrt,
)

ONNXRUNTIME = Placement(
    name=PLACED_FOR_VNNI,
    grid=UINT8,
    integer_bias=True,
    largest_weight=127,
    fenced=True,
    pairs=_read_by_onnxruntime,
)

# x86 before VNNI adds two products of uint8 and int8 in int16: 2 * 255 * 127 would saturate in it.
ONNXRUNTIME_WITHOUT_VNNI = Placement(
    name="onnxruntime without VNNI",
    grid=UINT8,
    integer_bias=True,
    largest_weight=64,
    fenced=True,
    pairs=_read_by_onnxruntime,
)


def _integer_nodes(graph: ir.Graph, keep_float: Collection[str]) -> list[ir.Node]:
    return [
        node
        for node in graph
        if node.op_type in QUANTIZABLE
        and node.name not in keep_float
        and node_input(node, 0).dtype == ir.DataType.FLOAT  # uint8 pixels need no pair
    ]
