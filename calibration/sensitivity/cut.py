"""Cuts a graph where a single tensor passes, so that what comes before need not be computed again.

Between two such places of a ResNet lies a convolution, a pool or a whole residual block: inside of
a block two tensors are alive, the main branch and the shortcut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from runtime.errors import OptionError

__all__ = ["Stretch", "cut", "take"]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The nodes between two places where a single tensor passes."""

    source: str
    """The tensor that enters."""
    result: str
    """The tensor that leaves."""
    nodes: tuple[str, ...]
    """Names, in order."""
    forked: bool
    """Whether more than one path leads through it, as through a residual block."""
    name: str
    """What the names of its nodes begin with: "layer1.0" of a residual block."""


def cut(graph: ir.Model, nodes: Collection[str]) -> tuple[Stretch, ...]:
    """Return the stretches of a graph, in order; each holds at least one of the named nodes.

    Raises:
        OptionError: if the graph is no classifier with one input and one output, lacks a node that
            is named, or has several of one name.
    """
    names = [str(node.name) for node in graph.graph]
    twice = {name for name in nodes if names.count(name) > 1}
    if twice:
        raise OptionError(
            f"nodes: {names.count(min(twice))} of the graph are named '{min(twice)}'; expected a "
            "name of its own for each"
        )
    unknown = set(nodes) - set(names)
    if unknown or not nodes:
        given = f"'{min(unknown)}'" if unknown else "none"
        raise OptionError(f"nodes: given {given}; expected names of the graph's nodes")
    if len(graph.graph.inputs) != 1 or len(graph.graph.outputs) != 1:
        raise OptionError(
            f"the graph has {len(graph.graph.inputs)} inputs and {len(graph.graph.outputs)} "
            "outputs; expected a classifier, which has one of each"
        )
    stretches: list[Stretch] = []
    for piece in _pieces(graph.graph):
        if stretches and not (_holds(piece, nodes) and _holds(stretches[-1], nodes)):
            stretches[-1] = _join(stretches[-1], piece)
        else:
            stretches.append(piece)
    return tuple(stretches)


def take(graph: ir.Model, source: str, result: str) -> ir.Model:
    """Return a copy of the part of a graph that makes the tensor `result` of the tensor `source`.

    An Identity makes its output, so that `result` lies inside of it as it lies inside of the graph;
    none does where `result` is the graph's own output.
    """
    part = graph.clone()
    values = {value.name: value for node in part.graph for value in node.outputs}
    ends = [value for value in part.graph.outputs if value.name == result != source]
    part.graph.outputs.clear()
    if source in values:
        before = values[source]
        values[source] = ir.val(source, before.dtype or ir.DataType.FLOAT, before.shape)
        before.replace_all_uses_with(values[source])
        before.name = f"{source}:before"
        part.graph.inputs[:] = [values[source]]
    if not ends:
        end = ir.Node("", "Identity", [values[result]], name=f"{result}:end")
        end.outputs[0].name, end.outputs[0].dtype = f"{result}:out", ir.DataType.FLOAT
        part.graph.append(end)
        ends = list(end.outputs)
    part.graph.outputs.extend(ends)
    return RemoveUnusedNodesPass()(part).model


def _pieces(graph: ir.Graph) -> list[Stretch]:
    """Return the shortest stretches, whatever nodes they hold."""
    source, start, forked = graph.inputs[0], 0, False
    pending = {source: len(source.consumers())}
    """How many nodes are still to read each tensor that is alive."""
    pieces: list[Stretch] = []
    for index, node in enumerate(nodes := tuple(graph)):
        for value in {value for value in node.inputs if value in pending}:
            pending[value] -= 1
        pending |= {v: len(v.consumers()) + v.is_graph_output() for v in node.outputs}
        pending = {value: count for value, count in pending.items() if count}
        if len(pending) > 1:
            forked = True
            continue
        names = tuple(str(each.name) for each in nodes[start : index + 1])
        [result] = pending
        pieces.append(
            Stretch(
                source=str(source.name),
                result=str(result.name),
                nodes=names,
                forked=forked,
                name=_shared_name(names),
            )
        )
        source, start, forked = result, index + 1, False
    return pieces


def _shared_name(names: Sequence[str]) -> str:
    levels = zip(*(name.split(".") for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return ".".join(shared) or f"{names[0]} to {names[-1]}"


def _holds(stretch: Stretch, nodes: Collection[str]) -> bool:
    return any(name in nodes for name in stretch.nodes)


def _join(first: Stretch, second: Stretch) -> Stretch:
    return Stretch(
        source=first.source,
        result=second.result,
        nodes=(*first.nodes, *second.nodes),
        forked=first.forked or second.forked,
        name=second.name if second.forked else first.name,
    )
