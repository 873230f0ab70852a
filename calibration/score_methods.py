"""Scores the methods: ranges of one half of the images, on images of the other half.

A few images of large logits can hold nearly all the noise of a method that clips much, and a small
sample misses them. So those are scored that the model answers loudest to. The others are sorted
into groups of like loudness, and the middle one of each counts for its group. It is the signal to
noise of the whole half, estimated from a few images.

Where there are images enough for export to refit the head, which takes away more of one method's
noise than of another's, it counts what a refit leaves of each image that all others are fitted to.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.choose import choose
from calibration.fit_errors import FEWEST_IMAGES, Features, fit_errors
from calibration.images import ImageFile, read_batches
from calibration.measure import Measurement
from calibration.methods import METHODS
from calibration.ranges import GRIDS, ActivationRanges, Grid
from calibration.rehearse import Rehearsal
from calibration.resume import batch_size
from calibration.score import Score, float_logits, score_logits
from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.runner import Images, Logits
from runtime.terminal import Screen

__all__ = ["CLOSE_DB", "Half", "MethodScore", "best_method", "score_methods"]

_LOUDEST, _GROUPS = 3, 3
"""Of each half. With 6 and 4, what is then taken is not a tenth of a decibel better in the mean;
if it did not count what a refit leaves, it would be one or two tenths worse."""
_MOST_CAUTIOUS_FIRST = ("minmax", "tails", "percentile", "mse", "entropy")
"""From what clips nothing to what clips most."""
CLOSE_DB = 3.0
"""What methods must differ by: half their noise. A few images cannot tell less, and what clips more
may lose 6 dB on one image that is louder than all that were measured, which minmax never did.

On four models with ten draws of 256 images, judged by others, the method taken is 0.6 dB below the
best one in the mean; the one of the most decibel would be 0.9 below, always `tails` 1.0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Half:
    """Every other image, and what was measured on them."""

    measurement: Measurement
    files: Sequence[ImageFile]
    """Those that could be read."""
    loudness: Sequence[float]
    """Of each file: the norm of what the model makes of it."""
    logits: Sequence[NDArray[np.float32]]
    """What that is, [classes] of each file; empty where the model makes maps."""


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
    reference: Logits
    """The float32 graph's own."""


def score_methods(
    graph: ir.Model, spec: ImageSpec, halves: tuple[Half, Half], screen: Screen
) -> tuple[MethodScore, ...]:
    """Return how every method does, grid by grid; nothing, which is said, if a half has no image.

    Raises:
        BackendError: if the graph cannot run.
        ImageError: if an image that was measured cannot be read any more.
    """
    if not all(half.files for half in halves):
        screen.warn(
            "every other image could not be read: no method is scored, and minmax is taken; mend "
            "or remove those files"
        )
        return ()
    with screen.step("score") as step, screen.progress("score", len(GRIDS) * len(METHODS)) as tick:
        first, second = halves
        trials = [_prepare(graph, spec, *each) for each in ((first, second), (second, first))]
        weights = np.concatenate([trial.weights for trial in trials])
        reference = np.concatenate([trial.reference for trial in trials])
        refitted = sum(len(half.files) for half in halves) >= FEWEST_IMAGES
        scores = []
        # Ranges are chosen while the images run.
        with ThreadPoolExecutor(1) as pool:
            each = itertools.product(GRIDS, METHODS, trials)
            ranges = pool.map(lambda it: choose(it[2].measurement, it[1], it[0]), each)
            for grid in GRIDS:
                for method, logits, features in _answers(graph, grid, trials, ranges):
                    if refitted and features is not None:
                        logits = reference - fit_errors(reference - logits, features).left_out
                    score = score_logits(reference, logits, weights)
                    scores.append(MethodScore(grid=grid.name, method=method, score=score))
                    tick()
        step.detail = f"{len(METHODS)} methods, ranges of one half on {len(weights)} of the other"
    return tuple(scores)


def best_method(scores: Sequence[MethodScore], grid: Grid) -> str:
    """Return the most cautious of the methods that come near the best on the grid.

    If none was scored, the most cautious of all.
    """
    found = {each.method: each.score.sqnr_db for each in scores if each.grid == grid.name}
    near = max(found.values(), default=math.inf) - CLOSE_DB
    close = (method for method in _MOST_CAUTIOUS_FIRST if found.get(method, -math.inf) >= near)
    return next(close, _MOST_CAUTIOUS_FIRST[0])


def _prepare(graph: ir.Model, spec: ImageSpec, measured: Half, judged: Half) -> _Trial:
    order = np.argsort(-np.asarray(judged.loudness), kind="stable")
    loudest, others = order[:_LOUDEST], order[_LOUDEST:]
    groups = [group for group in np.array_split(others, _GROUPS) if len(group)]
    chosen = [*loudest, *(group[len(group) // 2] for group in groups)]
    batches = list(_read([judged.files[i] for i in chosen], spec, batch_size(graph, spec)))
    return _Trial(
        measurement=measured.measurement,
        batches=batches,
        weights=np.array([1.0] * len(loudest) + [float(len(group)) for group in groups]),
        reference=np.stack([judged.logits[i] for i in chosen])
        if judged.logits
        else float_logits(graph, batches),
    )


def _answers(
    graph: ir.Model, grid: Grid, trials: Sequence[_Trial], ranges: Iterator[ActivationRanges]
) -> Iterator[tuple[str, Logits, Features | None]]:
    """Yield each method's answers to all trials' images; takes its ranges, trial by trial."""
    rehearsal = Rehearsal(graph, choose(trials[0].measurement, "minmax", grid), grid)
    for method in METHODS:
        runs = [rehearsal.run(next(ranges), trial.batches) for trial in trials]
        features = [found for _, found in runs if found is not None]
        yield (
            method,
            np.concatenate([logits for logits, _ in runs]),
            np.concatenate(features) if features else None,
        )


def _read(files: Sequence[ImageFile], spec: ImageSpec, size: int) -> Iterator[Images]:
    for batch in read_batches(files, spec, size):
        for record in batch.records:
            if record.error:
                raise ImageError(f"{record.name}: {record.error}; it was read a moment ago")
        yield batch.images
