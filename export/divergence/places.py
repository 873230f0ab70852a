"""Finds the places where a graph can be laid beside the module it was traced from.

A place is a tensor that both have: what a convolution with its BatchNorm, a linear layer, a block
or a pool gives. Nodes of the graph bear the names of their modules, in every precision alike, so
the places of the float32 graph are those of all variants.

A border is a place that every path goes through: nothing else of the network is alive when it is
computed. In a ResNet those are the stem, the output of each block and the head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import onnx_ir as ir
from torch import nn

from calibration.rounded_tensors import WEIGHTED

__all__ = ["Place", "find_places", "nearest_before"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A tensor that the module and the graph both have."""

    module: str
    """The name of what makes it: "layer3.0.conv2", or "layer3.0" for a block's output."""
    tensor: str
    """Its name in the graph."""
    border: bool
    """Every path from the images to the answer goes through it."""
    is_output: bool
    """The graph gives it; it is then never scaled."""


def find_places(module: nn.Module, graph: ir.Model) -> tuple[Place, ...]:
    """Return the places of a float32 graph, in the order they are computed.

    Args:
        module: what the graph was traced from.
        graph: simplified, its nodes named after the modules.
    """
    names = _names(module, graph.graph)
    borders = _borders(graph.graph)
    return tuple(
        Place(
            module=names[value],
            tensor=str(value.name),
            border=value in borders,
            is_output=value.is_graph_output(),
        )
        for node in graph.graph
        for value in node.outputs
        if value in names and _is_worth_a_look(module, names[value], border=value in borders)
    )


def nearest_before(graph: ir.Model, tensors: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return for each of the tensors those of them that it is computed from, nothing between."""
    nearest: dict[ir.Value, tuple[str, ...]] = {}
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.graph:
        before = [name for value in node.inputs if value for name in nearest.get(value, ())]
        for value in node.outputs:
            nearest[value] = tuple(dict.fromkeys(before))
            if value.name in tensors:
                found[str(value.name)] = nearest[value]
                nearest[value] = (str(value.name),)
    return found


def _names(module: nn.Module, graph: ir.Graph) -> Mapping[ir.Value, str]:
    """Return the name of the module that makes a value; of several, the innermost."""
    known = {name for name, _ in module.named_modules() if name}
    last: dict[str, ir.Value] = {}
    for node in graph:
        parts = str(node.name).split(".")
        for length in range(1, len(parts) + 1):
            name = ".".join(parts[:length])
            if name in known:
                last[name] = node.outputs[0]
    named = {value: name for name, value in sorted(last.items(), key=lambda item: len(item[0]))}
    # A layer that is all of its container keeps its own name: weights are named after it.
    layers = {n.outputs[0]: str(n.name) for n in graph if n.op_type in WEIGHTED and n.name in known}
    return {**named, **layers}


def _is_worth_a_look(module: nn.Module, name: str, *, border: bool) -> bool:
    """Return whether it is a layer with weights, a block, or a pool that every path goes through.

    What is between these shows in them.
    """
    layer = module.get_submodule(name)
    if any(True for _ in layer.children()) or isinstance(layer, nn.Conv2d | nn.Linear):
        return True
    return border and not isinstance(layer, nn.ReLU)


def _borders(graph: ir.Graph) -> frozenset[ir.Value]:
    computed = set(graph.inputs)
    pending: Counter[ir.Value] = Counter()  # computed, and how often it will be read yet
    borders = set()
    for node in graph:
        read = [value for value in node.inputs if value in computed]
        pending -= Counter(read)  # which drops what nobody reads any more
        if not read:
            continue  # computed from constants alone
        computed.update(node.outputs)
        pending.update({v: len(tuple(v.uses())) for v in node.outputs if tuple(v.uses())})
        if set(pending) <= {node.outputs[0]}:
            borders.add(node.outputs[0])
    return frozenset(borders)
