"""Checkpoint: a calibration under way, on disk, so that it can go on after it was killed."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from calibration.images import ImageRecord
from calibration.measure import Measurement
from calibration.observers import BINS, Histogram
from runtime.publishing.replace_file import replace_file

__all__ = ["Checkpoint"]


@dataclass(kw_only=True, eq=False)
class Checkpoint:
    """The state of a calibration after some of its files."""

    key: str
    """Of all that the calibration depends on; a checkpoint of another key is not taken up."""
    halves: tuple[Measurement, Measurement]
    """What the first and the second half of the files have shown so far."""
    records: list[ImageRecord]
    """One a file that is done with."""
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    """What the model made of the images that were read: a row each, a batch an array. Empty where
    it makes maps, which would fill the memory."""

    def save(self, path: Path) -> None:
        """Write it, all of it or nothing: about 64 KiB a tensor and half.

        Raises:
            BundleError: if it cannot be written.
        """
        header = {
            "key": self.key,
            "tensors": list(self.halves[0].histograms),
            "images": [half.images for half in self.halves],
            "records": [dataclasses.asdict(record) for record in self.records],
        }
        seen = [h for half in self.halves for h in half.histograms.values()]
        buffer = io.BytesIO()
        np.savez(
            buffer,
            header=np.array(json.dumps(header)),
            counts=np.stack([histogram.counts for histogram in seen]),
            exponents=np.array([histogram.exponent for histogram in seen]),
            lowest=np.array([histogram.lowest for histogram in seen]),
            highest=np.array([histogram.highest for histogram in seen]),
            logits=np.concatenate(self.logits) if self.logits else np.empty((0, 0), np.float32),
        )
        replace_file(path, buffer.getvalue())

    @staticmethod
    def load(path: Path, key: str) -> Checkpoint | None:
        """Return the checkpoint in the file; None if there is none of this key that is whole."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                header = json.loads(str(arrays["header"]))
                if header["key"] != key:
                    return None
                return _restore(header, {name: arrays[name] for name in arrays.files})
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            return None


def _restore(header: dict[str, Any], arrays: dict[str, Any]) -> Checkpoint:
    histograms = [
        Histogram(counts=counts, exponent=int(exponent), lowest=float(low), highest=float(high))
        for counts, exponent, low, high in zip(
            arrays["counts"].copy(),
            arrays["exponents"],
            arrays["lowest"],
            arrays["highest"],
            strict=True,
        )
    ]
    count = len(header["tensors"])
    if arrays["counts"].shape != (2 * count, 2 * BINS) or arrays["counts"].dtype != np.int64:
        raise ValueError("counts of another grid")
    first, second = (
        Measurement(histograms=dict(zip(header["tensors"], half, strict=True)), images=int(images))
        for half, images in zip(
            (histograms[:count], histograms[count:]), header["images"], strict=True
        )
    )
    return Checkpoint(
        key=header["key"],
        halves=(first, second),
        records=[ImageRecord(**record) for record in header["records"]],
        logits=[arrays["logits"]] if arrays["logits"].size else [],
    )
