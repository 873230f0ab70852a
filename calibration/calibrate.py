"""The straight line from a graph and a folder of images to ranges.

choose the images, equalize the graph's channels, measure both halves, score the methods across
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.checkpoint import Checkpoint
from calibration.choose import choose
from calibration.equalize import Peaks, equalize, measure_peaks
from calibration.images import ImageFile, choose_images, read_batches
from calibration.keys import DataKey, ModelKey
from calibration.measure import Measurement, check_weights
from calibration.order import AUTO, Order
from calibration.ranges import GRIDS, UINT8, ActivationRanges
from calibration.ranges_file import RangesFile
from calibration.resume import SavePoint, batch_size, measure_files, split
from calibration.score_methods import Half, MethodScore, best_method, score_methods
from calibration.survey import FEWEST, Survey, refuse_unfit, survey
from calibration.take_evenly import take_evenly
from runtime.errors import DeployError, OptionError
from runtime.image_spec import ImageSpec
from runtime.terminal import Screen

__all__ = ["Answers", "Calibration", "Convergence", "MethodScore", "calibrate"]

Answers: TypeAlias = Mapping[str, NDArray[np.float32]]
"""What a graph makes of images: the logits of each, by its file's SHA-256."""

_PEAK_SHARE = 4
"""Channels are equalized by one image in so many, within these bounds."""
_FEWEST_PEAKS, _MOST_PEAKS = 16, 32


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """How much scales still move when the second half of the images is added to the first."""

    tensor: str
    """The one whose scale moves most."""
    worst: float
    """By how much, as a share of its scale."""
    median: float
    """The same of the median tensor."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The ranges, and what was found on the way to them."""

    ranges: RangesFile
    survey: Survey
    available: int
    """Images in the folder, of which some were chosen."""
    convergence: Convergence
    scores: tuple[MethodScore, ...]
    """Of every method on every grid; empty if a method was asked for by name."""
    answers: Answers
    """Of the images that were read; empty if the model makes maps."""


def calibrate(graph: ir.Model, spec: ImageSpec, order: Order, screen: Screen) -> Calibration:
    """Return the ranges that a float32 graph, its channels equalized, has on images.

    Args:
        graph: as simplified for export; weights within. It is left as it is.
        spec: how an image becomes the graph's input.
        order: which images, which method.
        screen: where steps and warnings are shown.

    Raises:
        DeployError: if the graph, the images or the order cannot be used.
    """
    _refuse_planes(spec)
    check_weights(graph)
    with screen.step("choose") as step:
        files, available = choose_images(order.data, order.images, order.without)
        _refuse_few(files, order.data)
        step.detail = f"{len(files)} of {available} images in {order.data}"
    model, data = ModelKey.of(graph, spec), DataKey.of(files, order.method)
    with screen.step("equalize") as step:
        peaks = _measure_peaks(graph, spec, files)
        equalized = equalize(graph, peaks)
        step.detail = f"channels of {len(peaks)} tensors"
    with screen.step("measure") as step, _removed_if_refused(order.checkpoint):
        save_point = SavePoint(path=order.checkpoint, key=f"{model} {data}")
        state = measure_files(equalized, spec, files, save_point, screen)
        report = survey(state.records)
        refuse_unfit(report)
        step.detail = f"{len(state.halves[0].histograms)} tensors on {report.read} images"
    whole, halves = _merge(*state.halves), _split(files, state)
    scores: tuple[MethodScore, ...] = ()
    if order.method == AUTO:
        scores = score_methods(equalized, spec, halves, screen)
    chosen = _choose_all(whole, scores, order.method)
    order.checkpoint.unlink(missing_ok=True)
    return Calibration(
        ranges=RangesFile(model=model, data=data, images=whole.images, grids=chosen, peaks=peaks),
        survey=report,
        available=available,
        convergence=_converge(halves, chosen[UINT8.name]),
        scores=scores,
        answers=_answers(halves),
    )


@contextlib.contextmanager
def _removed_if_refused(checkpoint: Path) -> Iterator[None]:
    """Keep what a kill or Ctrl-C interrupts, and nothing of what cannot be calibrated at all."""
    try:
        yield
    except DeployError:
        with contextlib.suppress(OSError):
            checkpoint.unlink()
        raise


def _refuse_planes(spec: ImageSpec) -> None:
    if spec.channels == "planes":
        raise OptionError(
            f"the model takes {spec.channel_count} planes, which no image file holds; images "
            "cannot calibrate it"
        )


def _refuse_few(files: Sequence[ImageFile], folder: Path) -> None:
    different = len({file.sha256 for file in files})
    if different < FEWEST:
        raise OptionError(
            f"calibration images: of {len(files)} in '{folder}' no more than {different} differ; "
            f"expected at least {FEWEST}, better 300, of what the model will see"
        )


def _measure_peaks(graph: ir.Model, spec: ImageSpec, files: Sequence[ImageFile]) -> Peaks:
    wanted = min(max(len(files) // _PEAK_SHARE, _FEWEST_PEAKS), _MOST_PEAKS)
    some = take_evenly(files, wanted)
    return measure_peaks(
        graph,
        (b.images for b in read_batches(some, spec, batch_size(graph, spec)) if len(b.images)),
    )


def _merge(first: Measurement, second: Measurement) -> Measurement:
    whole = Measurement.of(first.histograms)
    whole.merge(first)
    whole.merge(second)
    return whole


def _split(files: Sequence[ImageFile], state: Checkpoint) -> tuple[Half, Half]:
    """Return both halves as they were measured."""
    records, rows = iter(state.records), (row for batch in state.logits for row in batch)
    found = []
    for measurement, half in zip(state.halves, split(files), strict=True):
        read = [(file, record.loudness) for file in half if not (record := next(records)).error]
        found.append(
            Half(
                measurement=measurement,
                files=[file for file, _ in read],
                loudness=[loudness for _, loudness in read],
                logits=list(itertools.islice(rows, len(read))),
            )
        )
    first, second = found
    return first, second


def _answers(halves: Sequence[Half]) -> Answers:
    known = [half for half in halves if half.logits]
    return {
        file.sha256: row
        for half in known
        for file, row in zip(half.files, half.logits, strict=True)
    }


def _choose_all(
    measurement: Measurement, scores: Sequence[MethodScore], method: str
) -> dict[str, ActivationRanges]:
    """Return the ranges for each grid, by the method asked for, or the one that scores say."""
    chosen = {}
    for grid in GRIDS:
        chosen[grid.name] = choose(
            measurement, best_method(scores, grid) if method == AUTO else method, grid
        )
    return chosen


def _converge(halves: Sequence[Half], ranges: ActivationRanges) -> Convergence:
    grid = next(grid for grid in GRIDS if grid.name == ranges.grid)
    half = next(half for half in halves if half.files)
    before = choose(half.measurement, ranges.method, grid)
    moved = {
        name: abs(grid.fit(before[name])[0] / grid.fit(final)[0] - 1)
        for name, final in ranges.tensors.items()
    }
    tensor = max(moved, key=lambda name: moved[name])
    return Convergence(
        tensor=tensor, worst=moved[tensor], median=float(np.median(list(moved.values())))
    )
