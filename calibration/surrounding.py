"""Tells which tensors integers pass through around a graph's nodes; each target's rules need it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

__all__ = ["depths", "node_input", "surrounding"]


def surrounding(nodes: Iterable[ir.Node]) -> dict[ir.Value, list[tuple[ir.Node, int]]]:
    """Return what the nodes read and what they make, behind its Relu: each with all its readers.

    What nobody reads stays out. A map that the graph gives may be read within it, too: only its
    readers are told.

    Args:
        nodes: of one graph. Both inputs of an Add count, of others the first.

    Returns:
        For each tensor the nodes that read it, with input index.
    """
    values: dict[ir.Value, None] = {}
    for node in nodes:
        for index in range(2 if node.op_type == "Add" else 1):
            values[node_input(node, index)] = None
        values[_behind_relu(node.outputs[0])] = None
    return {value: list(value.uses()) for value in values if value.uses()}


def depths(graph: ir.Graph) -> dict[ir.Value, int]:
    """Return for each tensor how many convolutions stand before it on the longest path."""
    found: dict[ir.Value, int] = {}
    for node in graph:
        before = max((found.get(value, 0) for value in node.inputs if value), default=0)
        found |= dict.fromkeys(node.outputs, before + (node.op_type == "Conv"))
    return found


def node_input(node: ir.Node, index: int) -> ir.Value:
    """Return an input that an operator of ResNets always has."""
    value = node.inputs[index]
    assert value is not None  # none of them has an optional input there
    return value


def _behind_relu(value: ir.Value) -> ir.Value:
    """Return the output of the Relu that alone reads the value, or the value."""
    uses = tuple(value.uses())
    if len(uses) == 1 and uses[0].node.op_type == "Relu":
        return uses[0].node.outputs[0]
    return value
