"""Measures files in two halves, with checkpoints: a run that was killed goes on where it stood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.checkpoint import Checkpoint
from calibration.images import ImageFile, ImageRecord, read_batches
from calibration.measure import Measurement
from calibration.probe import Probe
from calibration.survey import FEWEST, refuse_unfit, survey
from calibration.tap import activations
from runtime.image_spec import ImageSpec
from runtime.publishing.replace_file import check_replaceable
from runtime.terminal import Screen

__all__ = ["SavePoint", "batch_size", "measure_files", "split"]

_EARLY = 32
"""Files after which an unfit set is refused without measuring the rest."""

_PIXELS = 4 * 224 * 224
"""That run at once: four images of ImageNet's size, more of smaller ones."""
_LARGEST_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class SavePoint:
    """Where and how often the state of a calibration is saved."""

    path: Path
    key: str
    """Of all that the calibration depends on; the state of another one is not taken up."""
    files: int = 128
    """Files between two times."""


def measure_files(
    graph: ir.Model,
    spec: ImageSpec,
    files: Sequence[ImageFile],
    save_point: SavePoint,
    screen: Screen,
) -> Checkpoint:
    """Return what the graph does on the files, half by half, as `split`.

    Raises:
        BundleError: if the state cannot be saved.
        ImageError: if the images are unfit; told after the first few where they show it.
        DeployError: as `calibration.measure.measure`.
    """
    tensors = activations(graph)
    state = _take_up(save_point, tensors, screen)
    check_replaceable(save_point.path)
    probe, output = Probe(graph, tensors), str(graph.graph.outputs[0].name)
    halves = split(files)
    done = len(state.records)
    with screen.progress("measure", len(files)) as advance:
        _repeat(advance, done)
        for measurement, half in zip(state.halves, halves, strict=True):
            for batch in read_batches(half[done:], spec, batch_size(graph, spec)):
                records = batch.records
                if len(batch.images):
                    outputs = measurement.see(probe, batch.images)[output]
                    records = tuple(_with_loudness(records, outputs))
                    if outputs.ndim == 2:
                        state.logits.append(outputs)
                _record(state, records, save_point)
                _repeat(advance, len(batch.records))
            done = max(0, done - len(half))
    return state


def split(files: Sequence[ImageFile]) -> tuple[Sequence[ImageFile], Sequence[ImageFile]]:
    """Return both halves, in the order they are measured."""
    return files[::2], files[1::2]


def batch_size(graph: ir.Model, spec: ImageSpec) -> int:
    """Return how many images run at once: what the graph fixes, or what takes little memory."""
    shape = graph.graph.inputs[0].shape
    fixed = shape[0] if shape is not None else None
    return fixed if isinstance(fixed, int) else min(_LARGEST_BATCH, _PIXELS // spec.crop**2 or 1)


def _take_up(save_point: SavePoint, tensors: Sequence[str], screen: Screen) -> Checkpoint:
    saved = Checkpoint.load(save_point.path, save_point.key)
    if saved is None:
        halves = (Measurement.of(tensors), Measurement.of(tensors))
        return Checkpoint(key=save_point.key, halves=halves, records=[])
    if saved.records:
        screen.note(f"going on after {len(saved.records)} images, measured before a kill")
    return saved


def _with_loudness(
    records: Sequence[ImageRecord], outputs: NDArray[np.float32]
) -> Iterator[ImageRecord]:
    """Yield the records of a batch; those that were read, with the norm of what came of them."""
    rows = iter(outputs.reshape(len(outputs), -1))
    for record in records:
        unread = bool(record.error)
        yield record if unread else replace(record, loudness=float(np.linalg.norm(next(rows))))


def _record(state: Checkpoint, records: Sequence[ImageRecord], save_point: SavePoint) -> None:
    before = len(state.records)
    state.records.extend(records)
    now = len(state.records)
    if before < _EARLY <= now:
        report = survey(state.records)
        # Where few could be read so far, others may follow.
        if report.different >= FEWEST:
            refuse_unfit(report)
    if before // save_point.files < now // save_point.files:
        state.save(save_point.path)


def _repeat(advance: Callable[[], None], times: int) -> None:
    for _ in range(times):
        advance()
