"""The real images that variants are judged by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.images import ImageFile
from calibration.take_evenly import take_evenly
from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.open_image import load_image
from runtime.runner import Images

__all__ = ["UNKNOWN", "Evaluation", "Portion", "read_portions", "spread"]

UNKNOWN = -1
"""The class of an image of which none is told."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Images to judge by."""

    files: tuple[ImageFile, ...]
    classes: tuple[int, ...]
    """The true class of each; UNKNOWN where it is not told."""
    source: str
    """Where they come from, for a person, as it goes on after their number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Portion:
    """Some of the images, in order."""

    images: Images
    """As the graphs take them."""
    classes: NDArray[np.intp]
    """[images]"""
    skipped: tuple[str, ...]
    """What could not be read, and why."""


def read_portions(
    evaluation: Evaluation, spec: ImageSpec, pixels: str, size: int
) -> Iterator[Portion]:
    """Yield the images, `size` at a time.

    Args:
        evaluation: which.
        spec: how a file becomes the model's input.
        pixels: the layout, if the graphs take pixels; "" if they take normalised images.
        size: how many at a time.

    Raises:
        ImageError: if no image can be read.
    """
    loaded: list[Images] = []
    classes: list[int] = []
    skipped: list[str] = []
    for file, true_class in zip(evaluation.files, evaluation.classes, strict=True):
        try:
            image = load_image(file.path, spec, pixels)
        except ImageError as error:
            skipped.append(str(error))
            continue
        if len(loaded) == size:
            yield _portion(loaded, classes, skipped)
            loaded, classes, skipped = [], [], []
        loaded.append(image)
        classes.append(true_class)
    if loaded:
        yield _portion(loaded, classes, skipped)
    elif skipped:
        raise ImageError(f"none of {len(skipped)} images to judge by is usable; {skipped[0]}")


def _portion(images: Sequence[Images], classes: Sequence[int], skipped: Sequence[str]) -> Portion:
    return Portion(images=np.stack(images), classes=np.array(classes), skipped=tuple(skipped))


def spread(images: Evaluation, most: int) -> Evaluation:
    """Return so many of the images at most, evenly spread."""
    chosen = take_evenly(range(len(images.files)), most)
    return dataclasses.replace(
        images,
        files=tuple(images.files[index] for index in chosen),
        classes=tuple(images.classes[index] for index in chosen),
    )
