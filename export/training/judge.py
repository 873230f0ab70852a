"""Judges a finished checkpoint on images that neither trained it nor chose it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from export.checkpoint import read_checkpoint, write_checkpoint
from export.load import load
from export.load_options import LoadOptions
from export.training.batches import plain_batches
from export.training.data import DataSet
from export.training.photographs import Photographs
from export.training.score import Score, score
from runtime.errors import CheckpointError

__all__ = ["judge"]


def judge(path: Path, data: DataSet, workers: int) -> Score:
    """Return the score on the test images, computed in float32 as an export would, and record it.

    The accuracy becomes the checkpoint's top1.

    Raises:
        CheckpointError: if the checkpoint cannot be read or written, or is of other classes.
        ImageError: if an image cannot be read.
    """
    read = read_checkpoint(path)
    metadata = read.metadata
    if metadata is None or metadata.labels != data.labels:
        raise CheckpointError(
            f"'{path}' does not name the classes {', '.join(data.labels)[:80]}; train it again"
        )
    module = load(metadata.model, LoadOptions(weights=str(path))).module
    photographs = Photographs(data.test, metadata.image.channel_count)
    found = score(module, plain_batches(photographs, metadata.image, workers), len(data.labels))
    low, high = found.interval
    notes = metadata.notes | {
        "top1": f"of {len(data.test)} test images, 95 % interval {low:.1f} to {high:.1f}"
    }
    judged = replace(metadata, top1=round(found.accuracy, 2), notes=notes)
    write_checkpoint(path, read.weights, judged)
    return found
