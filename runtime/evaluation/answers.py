"""Answers while they are being given: kept in arrays, and on the disk as they come.

The file is one line of JSON for each image, after one that says what it is of. A run that was
killed leaves whole lines and perhaps the beginning of one; the next run takes up the whole ones,
if they are of the same models and images, so that each image is answered once.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BundleError
from runtime.runner import Logits

__all__ = ["AnswerFile", "Answers", "top_classes"]

TOP = 5
"""Classes that are kept of each answer."""

_DIGITS = 6
"""Of a probability: float32 holds seven."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What every variant said of every image: 40 bytes for each image and variant."""

    classes: dict[str, NDArray[np.int32]]
    """By variant: [images, at most 5], most probable first; -1 where there is no answer."""
    probabilities: dict[str, NDArray[np.float32]]
    """By variant: [images, at most 5]."""
    errors: dict[int, str] = field(default_factory=dict)
    """Why an image could not be read, by its index."""
    seen: NDArray[np.bool_]
    """[images]: answered or found unreadable."""

    @staticmethod
    def of(images: int, variants: Sequence[str], classes: int) -> Answers:
        """Return no answers yet to so many images."""
        shape = (images, min(TOP, classes))
        return Answers(
            classes={name: np.full(shape, -1, np.int32) for name in variants},
            probabilities={name: np.zeros(shape, np.float32) for name in variants},
            seen=np.zeros(images, np.bool_),
        )

    def take(self, line: Mapping[str, Any]) -> None:
        """Take an image's line of the file."""
        image = line["image"]
        self.seen[image] = True  # IndexError first, before anything is taken
        if "error" in line:
            self.errors[image] = line["error"]
        for name, (classes, probabilities) in line.get("answers", {}).items():
            self.classes[name][image] = classes
            self.probabilities[name][image] = probabilities


def top_classes(logits: Logits) -> list[tuple[list[int], list[float]]]:
    """Return the five most probable classes of each image and their probabilities.

    A row that holds NaN or infinity has no answer: its classes are -1 and their probabilities 0.

    Args:
        logits: [batch, classes].
    """
    kept = min(TOP, logits.shape[1])
    finite = np.logical_and.reduce(np.isfinite(logits), axis=1)
    values = np.where(finite[:, np.newaxis], logits, 0).astype(np.float64)
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    # By logit and then by index, as classify ranks them.
    order = np.argsort(-values, axis=1, kind="stable")[:, :kept]
    ranked = np.take_along_axis(probabilities, order, axis=1).round(_DIGITS)
    return [
        (classes, shares) if sound else ([-1] * kept, [0.0] * kept)
        for classes, shares, sound in zip(
            order.tolist(), ranked.tolist(), finite.tolist(), strict=True
        )
    ]


class AnswerFile:
    """The answers on the disk; only one process at a time may write them."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        self._key = key
        self._file: BinaryIO

    def __enter__(self) -> AnswerFile:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            raise BundleError(
                f"cannot write '{self._path}': {error.strerror}; choose another --output"
            ) from None
        try:
            _lock(self._file, self._path)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def take_up(self, answers: Answers) -> int:
        """Take what a run that was killed had answered, and return how many images that are.

        Raises:
            BundleError: if the file cannot be written.
        """
        end = taken = 0
        head = self._file.readline()
        with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
            if _whole(head)["key"] == self._key:
                end = len(head)
                for line in self._file:
                    answers.take(_whole(line))
                    end += len(line)
                    taken += 1
        self._file.seek(end)
        self._file.truncate()
        if not end:
            self._write([{"key": self._key}])
        return taken

    def append(self, answers: Answers, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add images' answers to those in memory and to the file.

        Raises:
            BundleError: if the file cannot be written.
        """
        for line in lines:
            answers.take(line)
        self._write(lines)

    def remove(self) -> None:
        """Remove the file: its answers are told elsewhere."""
        self._path.unlink(missing_ok=True)

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        try:
            self._file.write(text.encode("utf-8", "backslashreplace"))
            self._file.flush()
        except OSError as error:
            raise BundleError(f"cannot write '{self._path}': {error.strerror}") from None


def _whole(line: bytes) -> dict[str, Any]:
    """Return what a line holds; ValueError if it was cut short."""
    if not line.endswith(b"\n"):
        raise ValueError
    loaded: dict[str, Any] = json.loads(line)
    return loaded


def _lock(file: BinaryIO, path: Path) -> None:
    with contextlib.suppress(ImportError):  # Windows: the last writer wins
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BundleError(
                f"another evaluation is writing '{path}'; wait for it, or choose another --output"
            ) from None
        except OSError:
            pass  # a file system without locks
