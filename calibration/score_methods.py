"""Scores the methods: ranges of one half of the images, on images of the other half.

A few images of large logits can hold nearly all the noise of a method that clips much, and a small
sample misses them. So those are scored that the model answers loudest to, and as many of the
others, spread evenly; each of those counts for all that it stands for. It is the signal to noise of
the whole half, estimated from a few images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.choose import choose
from calibration.images import ImageFile, read_batches
from calibration.measure import Measurement
from calibration.methods import METHODS
from calibration.ranges import GRIDS, Grid
from calibration.rehearse import Rehearsal
from calibration.resume import batch_size
from calibration.score import Score, float_logits, score_logits
from runtime.image_spec import ImageSpec
from runtime.runner import Images
from runtime.terminal import Screen

__all__ = ["Half", "MethodScore", "best_method", "score_methods"]

_IMAGES = 8
"""Of each half: so many of the loudest, and as many of the others."""
_UNLESS_BETTER = "tails"
_LEAD_DB = 1.0
"""What another method must be better by: a few images cannot tell less. On the graphs it was tried
on, `tails` is never far from the best; each of the others once lost 6 dB and more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Half:
    """Every other image, and what was measured on them."""

    measurement: Measurement
    files: Sequence[ImageFile]
    """Those that could be read."""
    loudness: Sequence[float]
    """Of each file: the norm of its logits."""


@dataclass(frozen=True, kw_only=True)
class MethodScore:
    """How a method did on images that its ranges were not measured on."""

    grid: str
    method: str
    score: Score


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trial:
    measurement: Measurement
    """Of one half."""
    batches: Sequence[Images]
    """Of the other."""
    weights: NDArray[np.float64]
    """How many images of the other half each of these stands for."""


def score_methods(
    graph: ir.Model, spec: ImageSpec, halves: tuple[Half, Half], screen: Screen
) -> tuple[MethodScore, ...]:
    """Return how every method does, grid by grid; nothing if a half has no image.

    Raises:
        BackendError: if the graph cannot run.
    """
    if not all(half.files for half in halves):
        return ()
    with screen.step("score") as step, screen.progress("score", len(GRIDS) * len(METHODS)) as tick:
        first, second = halves
        trials = [_prepare(graph, spec, *each) for each in ((first, second), (second, first))]
        reference = np.concatenate([float_logits(graph, trial.batches) for trial in trials])
        weights = np.concatenate([trial.weights for trial in trials])
        scores = []
        for grid in GRIDS:
            rehearsal = Rehearsal(graph, choose(first.measurement, "minmax", grid), grid)
            for method in METHODS:
                logits = [
                    rehearsal.logits(choose(trial.measurement, method, grid), trial.batches)
                    for trial in trials
                ]
                found = score_logits(reference, np.concatenate(logits), weights)
                scores.append(MethodScore(grid=grid.name, method=method, score=found))
                tick()
        step.detail = f"{len(METHODS)} methods, ranges of one half on {len(reference)} of the other"
    return tuple(scores)


def best_method(scores: Sequence[MethodScore], grid: Grid) -> str:
    """Return the method to take: `tails`, unless another one is clearly better on the grid."""
    found = {each.method: each.score.sqnr_db for each in scores if each.grid == grid.name}
    best = max(found, key=lambda method: found[method], default=_UNLESS_BETTER)
    return best if found and found[best] > found[_UNLESS_BETTER] + _LEAD_DB else _UNLESS_BETTER


def _prepare(graph: ir.Model, spec: ImageSpec, measured: Half, judged: Half) -> _Trial:
    order = np.argsort(-np.asarray(judged.loudness), kind="stable")
    loudest, others = order[:_IMAGES], np.sort(order[_IMAGES:])
    few = others[np.arange(min(_IMAGES, len(others))) * len(others) // _IMAGES]
    chosen = [judged.files[index] for index in (*loudest, *few)]
    each = len(others) / len(few) if len(few) else 0.0
    return _Trial(
        measurement=measured.measurement,
        batches=list(_read(chosen, spec, batch_size(graph, spec))),
        weights=np.array([1.0] * len(loudest) + [each] * len(few)),
    )


def _read(files: Sequence[ImageFile], spec: ImageSpec, size: int) -> Iterator[Images]:
    yield from (batch.images for batch in read_batches(files, spec, size) if len(batch.images))
