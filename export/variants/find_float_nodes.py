"""Finds the smallest set of nodes to keep in float with which an int8 variant loses little enough.

    1. what quantizing each node alone costs (calibration.sensitivity)
    2. the shortest run of the costliest nodes that suffices, by bisection
    3. of that run, nodes that turn out not to be needed are given back, the cheapest first

Whether a set suffices is measured on the very graph that would be published, run by ONNX Runtime:
the share of images that were right and become wrong, or, where true classes are not known, that
get another class. That bounds the drop of top-1 from above; gains by luck do not count against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.emulate_nodes import emulate_nodes, quantizable
from calibration.ranges import ActivationRanges
from calibration.rounded_tensors import head
from calibration.sensitivity.sensitivity import sensitivity, worst_first
from export.quantization.placement import TENSORRT, Placement
from export.variants.evaluation import UNKNOWN
from runtime.errors import OptionError
from runtime.onnx_runner import OnnxRunner
from runtime.runner import Images, Logits
from runtime.terminal import Screen

__all__ = ["FloatNodes", "Trial", "find_float_nodes"]

_RANKED_BY = 32
"""Images that the ranking is measured on; more hardly change it, and each node costs a run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """What a set of nodes is tried with."""

    equalized: ir.Model
    ranges: ActivationRanges
    """Of the placement's grid."""
    placement: Placement
    quantize: Callable[[Collection[str]], bytes]
    """(nodes that stay in float beside the head) -> the variant as it would be published"""
    normalised: Sequence[Images]
    """Batches of the images, as the float graph takes them."""
    fed: Sequence[Images]
    """The same as the variant takes them."""
    classes: NDArray[np.intp]
    """The true class of each image; UNKNOWN where it is not told."""


@dataclass(frozen=True, kw_only=True)
class FloatNodes:
    """What was found."""

    names: tuple[str, ...]
    """The costliest first."""
    lost_points: float
    """Of the images, in percent, with these nodes in float."""
    lost_points_without: float
    """The same with all nodes in int8."""
    images: int
    tried: int
    """Graphs that were measured."""


def find_float_nodes(trial: Trial, max_drop: float, screen: Screen) -> FloatNodes:
    """Return the nodes that should stay in float.

    Args:
        trial: the graph and the images.
        max_drop: points that may be lost.
        screen: shows the progress.

    Raises:
        BackendError: if a graph cannot run on the images.
        OptionError: if no set of nodes suffices.
    """
    loss = _Loss(trial)
    without = loss.of(())
    if without <= max_drop:
        names: tuple[str, ...] = ()
    else:
        names = _search(_ranking(trial, screen), lambda kept: loss.of(kept) <= max_drop)
        if loss.of(names) > max_drop:
            raise OptionError(
                f"--max-drop: given {max_drop:g}; even with every node in float "
                f"{loss.of(names):.2f} points of {len(trial.classes)} images are lost"
            )
    return FloatNodes(
        names=names,
        lost_points=loss.of(names),
        lost_points_without=without,
        images=len(trial.classes),
        tried=len(loss.known),
    )


class _Loss:
    """The points that sets of nodes lose, each measured once."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._expected = _best(_serialize(trial.equalized), trial.normalised)
        self.known: dict[frozenset[str], float] = {}

    def of(self, kept: Collection[str]) -> float:
        """Return how many points are lost with these nodes in float."""
        key = frozenset(kept)
        if key not in self.known:
            placed = self._trial.placement is TENSORRT
            given = _best(self._trial.quantize(kept), self._trial.fed, as_written=placed)
            classes = self._trial.classes
            changed = given != self._expected
            # Where the truth is known, a wrong class for another wrong one is no loss.
            lost = changed & ((classes == UNKNOWN) | (self._expected == classes))
            self.known[key] = 100 * float(lost.mean())
        return self.known[key]


def _ranking(trial: Trial, screen: Screen) -> list[str]:
    some, count = [], 0
    for batch in trial.normalised:
        some.append(np.asarray(batch[: _RANKED_BY - count], np.float32))
        count += len(some[-1])
        if count >= _RANKED_BY:
            break
    fixed = head(trial.equalized)
    grid = trial.placement.grid
    names = [name for name in quantizable(trial.equalized, grid) if name not in fixed]
    found = sensitivity(
        trial.equalized,
        [some],
        lambda part, nodes: emulate_nodes(part, trial.ranges, grid, nodes),
        names,
        names,
        screen,
    )
    return [cost.name for cost in worst_first(found.nodes)]


def _search(ranking: Sequence[str], suffices: Callable[[Collection[str]], bool]) -> tuple[str, ...]:
    """Return the shortest run of the ranking that suffices, without nodes that it can spare."""
    low, high = 0, len(ranking)  # none of them does not suffice; all of them must
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(ranking[:middle]) else (middle, high)
    kept = list(ranking[:high])
    for name in reversed(ranking[:high]):
        fewer = [each for each in kept if each != name]
        if suffices(fewer):
            kept = fewer
    return tuple(kept)


def _best(model: bytes, batches: Sequence[Images], *, as_written: bool = False) -> NDArray[np.intp]:
    runner = OnnxRunner.open(model, as_written=as_written)
    logits: list[Logits] = [runner.logits(batch) for batch in batches]
    best: NDArray[np.intp] = np.concatenate(logits).argmax(1)
    return best


def _serialize(graph: ir.Model) -> bytes:
    data: bytes = ir.to_proto(graph).SerializeToString()
    return data
