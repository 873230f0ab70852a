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
from typing import TypeAlias

import onnx_ir as ir

from calibration.ranges import INT8, UINT8, Grid
from calibration.surrounding import depths, node_input, surrounding
from runtime.open_runner import PLACED_FOR_TENSORRT
from runtime.vnni import PLACED_FOR_VNNI

__all__ = [
    "ONNXRUNTIME",
    "ONNXRUNTIME_WITHOUT_VNNI",
    "PLACEMENTS",
    "QUANTIZABLE",
    "TENSORRT",
    "Pairs",
    "Placement",
    "head",
]

WEIGHTED = frozenset({"Conv", "Gemm"})
MOVING = frozenset({"MaxPool", "Pad", "Flatten"})
"""Operators that pass values on as they are: what is on a grid before them is on it after them."""
QUANTIZABLE = WEIGHTED | MOVING | {"Add", "GlobalAveragePool"}
"""Operators that integers can be computed in; a Relu runs as the operator before it."""

Pairs: TypeAlias = dict[ir.Value, list[tuple[ir.Node, int]]]
"""For each value that gets a pair: the nodes, with input index, that read the pair's result."""


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
    pairs: Callable[[ir.Graph, Collection[str]], Pairs]
    """Where the pairs stand in a graph, given the names of the nodes that stay in float."""


def head(graph: ir.Model) -> frozenset[str]:
    """Return the names of the nodes behind the last convolution's block: pool and classifier.

    They are a thousandth of the work, and in float they cost no accuracy.
    """
    kinds = ("GlobalAveragePool", "Flatten", "Gemm")
    return frozenset(str(node.name) for node in graph.graph if node.op_type in kinds)


def _pairs_for_tensorrt(graph: ir.Graph, keep_float: Collection[str]) -> Pairs:
    pairs: Pairs = {}
    deep = depths(graph)
    for node in _integer_nodes(graph, keep_float):
        if node.op_type in WEIGHTED or node.op_type == "GlobalAveragePool":
            pairs.setdefault(node_input(node, 0), []).append((node, 0))
        elif node.op_type == "Add":
            main, shortcut = sorted(
                (0, 1), key=lambda i: deep.get(node_input(node, i), 0), reverse=True
            )
            before = node_input(node, main).producer()
            # Without an integer kernel to be fused into, the Add is float work as it stands.
            if before is not None and before.op_type == "Conv" and before.name not in keep_float:
                pairs.setdefault(node_input(node, shortcut), []).append((node, shortcut))
    for node in _integer_nodes(graph, keep_float):
        # A shortcut without parameters: its pool and its padding can then move integers, too.
        if node.op_type in MOVING and node_input(node, 0) in pairs:
            pairs[node_input(node, 0)].append((node, 0))
    return pairs


def _pairs_for_onnxruntime(graph: ir.Graph, keep_float: Collection[str]) -> Pairs:
    return surrounding(_integer_nodes(graph, keep_float))


TENSORRT = Placement(
    name=PLACED_FOR_TENSORRT,
    grid=INT8,
    integer_bias=False,
    largest_weight=127,
    fenced=False,
    pairs=_pairs_for_tensorrt,
)

ONNXRUNTIME = Placement(
    name=PLACED_FOR_VNNI,
    grid=UINT8,
    integer_bias=True,
    largest_weight=127,
    fenced=True,
    pairs=_pairs_for_onnxruntime,
)

# x86 before VNNI adds two products of uint8 and int8 in int16: 2 * 255 * 127 would saturate in it.
ONNXRUNTIME_WITHOUT_VNNI = Placement(
    name="onnxruntime without VNNI",
    grid=UINT8,
    integer_bias=True,
    largest_weight=64,
    fenced=True,
    pairs=_pairs_for_onnxruntime,
)


PLACEMENTS = (TENSORRT, ONNXRUNTIME, ONNXRUNTIME_WITHOUT_VNNI)


def _integer_nodes(graph: ir.Graph, keep_float: Collection[str]) -> list[ir.Node]:
    return [
        node
        for node in graph
        if node.op_type in QUANTIZABLE
        and node.name not in keep_float
        and node_input(node, 0).dtype == ir.DataType.FLOAT  # uint8 pixels need no pair
    ]
