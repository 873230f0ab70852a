"""Scores a chunk of images: decodes them, runs the model, names the most probable classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from runtime.bundle import Bundle
from runtime.classify import classify
from runtime.errors import ImageError
from runtime.feed import fixed_batch
from runtime.preprocess import model_input
from runtime.scoring.inputs import Inputs
from runtime.scoring.partition import Partition
from runtime.scoring.read_inputs import Input

if TYPE_CHECKING:
    from runtime.classify import RankedClass
    from runtime.runner import Images, Runner

__all__ = ["Chunk", "ChunkScorer", "Job", "Row", "Scored"]

_NOT_FINITE = "the logits hold NaN or infinity; expected finite numbers"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, wherever it is done."""

    bundle: Bundle
    variant: str
    inputs: Inputs
    root: str
    """The folder that relative paths start from."""
    top: int
    """How many classes of each image."""
    batch: int
    """How many images the model is given at once; a model of fixed batch takes its own."""

    @property
    def chunk(self) -> int:
        """How many images are run at once."""
        return fixed_batch(self.bundle.variant(self.variant)) or self.batch


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one image."""

    index: int
    path: str
    labels: list[str] | None = None
    """The most probable first; None if there is an error."""
    probabilities: list[float] | None = None
    error: str | None = None


Chunk: TypeAlias = tuple[Partition, list[Input]]
"""Images of a partition that are run at once."""

Scored: TypeAlias = tuple[Partition, list[Row]]
"""What became of them."""


@dataclass(frozen=True, kw_only=True)
class ChunkScorer:
    """Scores a chunk; several threads call it at once."""

    job: Job
    runner: Runner

    def __call__(self, chunk: Chunk) -> Scored:
        """Return what became of each image; one that cannot be read is a row with its error."""
        partition, inputs = chunk
        images, errors = self._load(inputs)
        answers = iter(self._classify(images))
        return partition, [
            _row(each, errors[each.index] if each.index in errors else next(answers))
            for each in inputs
        ]

    def _load(self, inputs: list[Input]) -> tuple[list[Images], dict[int, str]]:
        """Return the images that could be read, and why the others could not, by index."""
        manifest = self.job.bundle.manifest
        images, errors = [], {}
        for each in inputs:
            try:
                images.append(model_input(each.open(), manifest.image, manifest.pixels))
            except ImageError as error:
                errors[each.index] = str(error)
        return images, errors

    def _classify(self, images: list[Images]) -> list[tuple[RankedClass, ...] | str]:
        """Return the classes of each image, or why there are none."""
        if not images:
            return []
        missing = fixed_batch(self.job.bundle.variant(self.job.variant)) - len(images)
        logits = self.runner.logits(np.stack(images + images[-1:] * missing))[: len(images)]
        finite = np.all(np.isfinite(logits), axis=1)
        ranked = iter(classify(logits[finite], self.job.bundle.manifest.labels, self.job.top))
        return [next(ranked) if sound else _NOT_FINITE for sound in finite.tolist()]


def _row(image: Input, answer: tuple[RankedClass, ...] | str) -> Row:
    path = _unicode(image.name)
    if isinstance(answer, str):
        return Row(index=image.index, path=path, error=_unicode(answer))
    return Row(
        index=image.index,
        path=path,
        labels=[ranked.label for ranked in answer],
        probabilities=[ranked.probability for ranked in answer],
    )


def _unicode(text: str) -> str:
    """Return the text as parquet takes it: of a file's name, bytes that are no UTF-8 escaped."""
    return text.encode(errors="backslashreplace").decode()
