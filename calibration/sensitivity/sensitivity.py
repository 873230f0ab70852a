"""Measures what quantizing a node costs when all others stay in float.

For every stretch of the graph (see `calibration.sensitivity.cut`), in order:

    what enters it        computed once, in float
    through the stretch   once in float, and once for each of its nodes with that node quantized
    what comes behind     once for each of them, in float, all by one session

Nothing before a node is computed again for it. Memory holds, of a chunk of images, what enters a
stretch and what leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.probe import Probe
from calibration.score import Score, score_logits
from calibration.sensitivity.cut import Stretch, cut, take
from runtime.runner import Images, Logits
from runtime.terminal import Screen

__all__ = ["BLOCK", "Chunks", "Cost", "Quantizer", "Sensitivity", "sensitivity", "worst_first"]

Quantizer: TypeAlias = Callable[[ir.Model, Collection[str]], ir.Model]
"""(float32 graph or a part of it, names of nodes) -> a copy in which those of them that it has are
quantized; its tensors keep their names."""


class Chunks(Protocol):
    """Batches of images in chunks, each of which is in memory at once, such as a list of lists."""

    def __len__(self) -> int:
        """Return how many chunks there are."""

    def __iter__(self) -> Iterator[Sequence[Images]]:
        """Yield each chunk's batches."""


BLOCK = "block"
"""The kind of a residual block, all nodes of which are quantized."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What quantizing some nodes costs."""

    name: str
    kind: str
    """The node's operator, such as "Conv", or BLOCK."""
    nodes: tuple[str, ...]
    """Those that were quantized: the node itself, or those of the block."""
    score: Score
    """Of the logits, against those of the float graph."""


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What quantizing each node, each residual block, and many nodes together costs."""

    images: int
    nodes: tuple[Cost, ...]
    """In the order of the graph."""
    blocks: tuple[Cost, ...]
    """In the order of the graph."""
    together: Score
    """Of all that were asked for quantized at once."""


def sensitivity(
    graph: ir.Model,
    chunks: Chunks,
    quantize: Quantizer,
    nodes: Collection[str],
    together: Collection[str],
    screen: Screen,
) -> Sensitivity:
    """Return what quantizing each of the nodes alone costs.

    Args:
        graph: a float32 classifier; it is left as it is.
        chunks: the images; sessions are opened anew for each chunk.
        quantize: how nodes are quantized.
        nodes: names of those that are asked about, one by one.
        together: names of those that are also quantized all at once.
        screen: where progress is shown.

    Raises:
        OptionError: if the graph is no classifier, or lacks a node that is named.
        BackendError: if the graph cannot run on the images.
    """
    stretches = cut(graph, nodes)
    trials = [trial for stretch in stretches for trial in _trials(graph, stretch, nodes)]
    whole = _probe(quantize(graph, together))
    reference, combined = list[Logits](), list[Logits]()
    with screen.progress("nodes", len(chunks) * len(trials)) as advance:
        for batches in chunks:
            entering: Sequence[Images] = batches
            for stretch in stretches:
                rest = _probe(take(graph, stretch.result, str(graph.graph.outputs[0].name)))
                part = take(graph, stretch.source, stretch.result)
                for trial in (each for each in trials if each.stretch is stretch):
                    leaving = _run(_probe(quantize(part, trial.nodes)), entering)
                    trial.logits += _run(rest, leaving)
                    advance()
                entering = _run(_probe(part), entering)
            reference += [np.asarray(logits, np.float32) for logits in entering]
            combined += _run(whole, batches)
    expected = np.concatenate(reference)
    costs = [trial.cost(expected) for trial in trials]
    return Sensitivity(
        images=len(expected),
        nodes=tuple(cost for cost in costs if cost.kind != BLOCK),
        blocks=tuple(cost for cost in costs if cost.kind == BLOCK),
        together=score_logits(expected, np.concatenate(combined)),
    )


def worst_first(costs: Iterable[Cost]) -> tuple[Cost, ...]:
    """Return the costs, the highest first; of equals, the one that comes first in the graph."""
    return tuple(sorted(costs, key=lambda cost: cost.score.sqnr_db))


@dataclass(kw_only=True)
class _Trial:
    """Some nodes to be quantized, and the logits that they led to so far."""

    name: str
    kind: str
    nodes: tuple[str, ...]
    stretch: Stretch
    logits: list[Logits] = field(default_factory=list)

    def cost(self, expected: Logits) -> Cost:
        found = score_logits(expected, np.concatenate(self.logits))
        return Cost(name=self.name, kind=self.kind, nodes=self.nodes, score=found)


def _trials(graph: ir.Model, stretch: Stretch, nodes: Collection[str]) -> list[_Trial]:
    kinds = {str(node.name): node.op_type for node in graph.graph}
    asked = tuple(name for name in stretch.nodes if name in nodes)
    trials = [_Trial(name=n, kind=kinds[n], nodes=(n,), stretch=stretch) for n in asked]
    if stretch.forked:
        trials.append(_Trial(name=stretch.name, kind=BLOCK, nodes=asked, stretch=stretch))
    return trials


def _probe(graph: ir.Model) -> Probe:
    return Probe(graph, [str(graph.graph.outputs[0].name)])


def _run(probe: Probe, batches: Iterable[Images]) -> list[NDArray[np.float32]]:
    """Return the probe's only tensor for each of the batches."""
    return [next(iter(probe.run(images).values())) for images in batches]
