"""Tells which tensors a target rounds to integers, and who reads them rounded.

TensorRT        what a Conv, Gemm or average pool reads; and the shortcut of an Add, which the
Conv of the longer branch takes in
ONNX Runtime    what a node reads, and what it makes, behind its Relu
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

import onnx_ir as ir

from calibration.ranges import ActivationRanges, Range

__all__ = [
    "MOVING",
    "WEIGHTED",
    "Readers",
    "head",
    "node_input",
    "onnxruntime_readers",
    "tensorrt_readers",
    "tied_range",
]

_HEAD = frozenset({"GlobalAveragePool", "Flatten", "Gemm"})
"""What stands behind the last convolution."""
WEIGHTED = frozenset({"Conv", "Gemm"})
MOVING = frozenset({"MaxPool", "Pad", "Flatten"})
"""They pass values on as they are; what they read and make is on one grid."""

Readers: TypeAlias = dict[ir.Value, list[tuple[ir.Node, int]]]
"""For each tensor that is rounded: the nodes, with input index, that read it so."""


def head(graph: ir.Model) -> tuple[str, ...]:
    """Return the names of the nodes behind the last convolution's block: pool and classifier.

    They stay in float by default: they are a thousandth of the work, and in float they cost no
    accuracy.
    """
    return tuple(str(node.name) for node in graph.graph if node.op_type in _HEAD)


def tensorrt_readers(graph: ir.Graph, nodes: Collection[ir.Node]) -> Readers:
    """Return what TensorRT rounds so that it can compute the nodes in integers.

    Args:
        graph: float32.
        nodes: of the graph. An Add is fused into the Conv before it, and what only moves values
            moves integers, where both are among them.
    """
    readers: Readers = {}
    depths = _depths(graph)
    for node in nodes:
        if node.op_type in WEIGHTED or node.op_type == "GlobalAveragePool":
            readers.setdefault(node_input(node, 0), []).append((node, 0))
        elif node.op_type == "Add":
            main, shortcut = sorted(
                (0, 1), key=lambda i: depths.get(node_input(node, i), 0), reverse=True
            )
            before = node_input(node, main).producer()
            # Without an integer kernel to be fused into, the Add is float work as it stands.
            if before is not None and before.op_type == "Conv" and before in nodes:
                readers.setdefault(node_input(node, shortcut), []).append((node, shortcut))
    for node in nodes:
        # A shortcut without parameters: its pool and its padding can then move integers, too.
        if node.op_type in MOVING and node_input(node, 0) in readers:
            readers[node_input(node, 0)].append((node, 0))
    return readers


def onnxruntime_readers(nodes: Iterable[ir.Node]) -> Readers:
    """Return what ONNX Runtime rounds so that it can compute the nodes in integers.

    What nobody reads stays out. A map that the graph gives may be read within it, too: only its
    readers are told.

    Args:
        nodes: of one graph. Both inputs of an Add count, of others the first.
    """
    values: dict[ir.Value, None] = {}
    for node in nodes:
        for index in range(2 if node.op_type == "Add" else 1):
            values[node_input(node, index)] = None
        values[_behind_relu(node.outputs[0])] = None
    return {value: list(value.uses()) for value in values if value.uses()}


def tied_range(value: ir.Value, readers: Readers, ranges: ActivationRanges) -> Range:
    """Return the range that all rounded tensors have together between which values only move."""
    found = [value]
    for each in found:
        producer = each.producer()
        near = [node.outputs[0] for node in each.consumers() if node.op_type in MOVING]
        if producer is not None and producer.op_type in MOVING:
            near.append(node_input(producer, 0))
        found += [neighbour for neighbour in near if neighbour not in found]
    tied = [ranges[str(each.name)] for each in found if each in readers]
    return Range(low=min(each.low for each in tied), high=max(each.high for each in tied))


def node_input(node: ir.Node, index: int) -> ir.Value:
    """Return an input that an operator of ResNets always has."""
    value = node.inputs[index]
    assert value is not None  # none of them has an optional input there
    return value


def _depths(graph: ir.Graph) -> dict[ir.Value, int]:
    """Return for each tensor how many convolutions stand before it on the longest path."""
    found: dict[ir.Value, int] = {}
    for node in graph:
        before = max((found.get(value, 0) for value in node.inputs if value), default=0)
        found |= dict.fromkeys(node.outputs, before + (node.op_type == "Conv"))
    return found


def _behind_relu(value: ir.Value) -> ir.Value:
    """Return the output of the Relu that alone reads the value, or the value."""
    uses = tuple(value.uses())
    if len(uses) == 1 and uses[0].node.op_type == "Relu":
        return uses[0].node.outputs[0]
    return value
