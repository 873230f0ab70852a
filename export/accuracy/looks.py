"""Remembers what a model answers to each image in each view: nothing is looked at twice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from export.accuracy.gallery import read_planes
from export.accuracy.label_orders import Classes
from export.accuracy.view import View
from runtime.errors import ImageError
from runtime.image_spec import ImageSpec

__all__ = ["UNSEEN", "Answerer", "Look", "Looks"]

UNSEEN = -2
"""Stands for the answer to an image that was not looked at, or cannot be read."""

_BATCH = 32


class Answerer(Protocol):
    """What names the most probable class of images."""

    def classes(self, images: NDArray[np.float32]) -> Classes:
        """Return one class an image of [batch, channels, height, width]; -1 for none."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """A view, and which of the answerers sees it."""

    view: View
    answerer: str = ""


@dataclass(kw_only=True)
class Looks:
    """All answers so far; images are known by their index."""

    paths: Sequence[Path]
    spec: ImageSpec
    answerers: dict[str, Answerer]
    warn: Callable[[str], None]
    answers: dict[Look, Classes] = field(default_factory=dict)
    unreadable: set[int] = field(default_factory=set)

    def look(
        self, looks: Collection[Look], indices: Sequence[int], advance: Callable[[], None]
    ) -> None:
        """Answer the images in each of the ways, as far as that was not done before.

        Args:
            looks: the ways.
            indices: of the images.
            advance: called after each batch.
        """
        for look in looks:
            self.answers.setdefault(look, np.full(len(self.paths), UNSEEN, np.int32))
        todo = [i for i in indices if i not in self.unreadable and self._missing(looks, i)]
        for first in range(0, len(todo), _BATCH):
            self._look_at(todo[first : first + _BATCH], looks)
            advance()

    def batches(self, count: int) -> int:
        """Return how often `advance` is called at most for so many images."""
        return -(-count // _BATCH)

    def _missing(self, looks: Collection[Look], index: int) -> bool:
        return any(self.answers[look][index] == UNSEEN for look in looks)

    def _look_at(self, indices: Sequence[int], looks: Collection[Look]) -> None:
        wanted = [look for look in looks if (self.answers[look][indices] == UNSEEN).any()]
        geometries = {look.view.geometry for look in wanted}

        def skip(path: Path, error: ImageError) -> None:
            self.unreadable.add(self.paths.index(path))
            self.warn(f"skipped {error}")

        paths = [self.paths[index] for index in indices]
        for kept, planes in read_planes(paths, geometries, self.spec, _BATCH, skip):
            rows = [indices[place] for place in kept]
            for look in wanted:
                seen = np.stack([look.view.images(each) for each in planes[look.view.geometry]])
                self.answers[look][rows] = self.answerers[look.answerer].classes(seen)
