"""DataSet: labelled image files in three parts. Nothing is decoded here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from export.training.split import PARTS
from runtime.errors import OptionError

__all__ = ["DataSet", "Example", "LabelledImage", "name_below"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image file as it was found: with the name of its class."""

    path: Path
    label: str
    part: str
    """"train", "val" or "test"."""


@dataclass(frozen=True, kw_only=True)
class LabelledImage:
    """An image file and the index of its class."""

    path: Path
    label: int


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The images to train on, to choose an epoch by, and to judge the result by."""

    labels: tuple[str, ...]
    """The classes of train, sorted by name."""
    train: tuple[LabelledImage, ...]
    val: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    """May be empty."""
    root: Path
    """The folder that names of files are told in relation to."""
    origin: str
    """What it is called, and what split it."""

    @staticmethod
    def of(examples: Iterable[Example], root: Path, origin: str) -> DataSet:
        """Return the examples by part, in their order.

        Raises:
            OptionError: if train and val are not both there, there is but one class, or a class
                has nothing to train on.
        """
        found = tuple(examples)
        labels = tuple(sorted({example.label for example in found if example.part == "train"}))
        strange = [example for example in found if example.label not in labels]
        if strange:
            raise OptionError(
                f"{origin}: no image of class '{strange[0].label}' is in train, but "
                f"'{strange[0].path}' is in {strange[0].part}; expected every class in train"
            )
        if len(labels) < 2:
            shown = f"only class '{labels[0]}'" if labels else "no images"
            raise OptionError(f"{origin}: {shown} to train on; expected two classes or more")
        train, val, test = (
            tuple(
                LabelledImage(path=example.path, label=labels.index(example.label))
                for example in found
                if example.part == part
            )
            for part in PARTS
        )
        if not val:
            raise OptionError(f"{origin}: no images in val; the best epoch is chosen by them")
        return DataSet(labels=labels, train=train, val=val, test=test, root=root, origin=origin)

    def counts(self) -> tuple[int, ...]:
        """Return how many training images each class has."""
        found = [image.label for image in self.train]
        return tuple(found.count(label) for label in range(len(self.labels)))

    def digest(self) -> str:
        """Return a SHA-256 of the names of all files, their classes and their parts."""
        lines = [
            f"{part}\t{self.labels[image.label]}\t{name_below(self.root, image.path)}\n"
            for part in PARTS
            for image in getattr(self, part)
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def name_below(root: Path, path: Path) -> str:
    """Return the path from the root on, with forward slashes; whole if it lies elsewhere."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
