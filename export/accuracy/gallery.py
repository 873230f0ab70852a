"""Shows the same images in many ways, each decoded once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.accuracy.plan_changes import Statistics
from export.accuracy.view import Geometry
from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image

__all__ = ["Planes", "read_planes", "statistics"]

Planes = NDArray[np.uint8]
"""[images, channels, height, width], colours in the order RGB."""


def read_planes(
    paths: Sequence[Path],
    geometries: Collection[Geometry],
    spec: ImageSpec,
    batch: int,
    skip: Callable[[Path, ImageError], None],
) -> Iterator[tuple[list[int], Mapping[Geometry, Planes]]]:
    """Yield some images at a time: which they are, and how they look in each geometry.

    Args:
        paths: the files.
        geometries: how to look at them.
        spec: of the bundle, for the number of channels.
        batch: how many files at a time.
        skip: called for one that cannot be read; it is in no batch then.
    """
    for first in range(0, len(paths), batch):
        kept: list[int] = []
        looks: dict[Geometry, list[NDArray[np.uint8]]] = {each: [] for each in geometries}
        for index in range(first, min(first + batch, len(paths))):
            try:
                image = open_image(paths[index])
                seen = {geometry: geometry.planes(image, spec) for geometry in geometries}
            except ImageError as error:
                skip(paths[index], error)
                continue
            kept.append(index)
            for geometry, planes in seen.items():
                looks[geometry].append(planes)
        if kept:
            yield kept, {geometry: np.stack(planes) for geometry, planes in looks.items()}


def statistics(planes: Planes) -> Statistics:
    """Return the mean and standard deviation of the images' own values, 0 to 1."""
    values = planes.astype(np.float64) / 255
    std = np.maximum(values.std(axis=(0, 2, 3)), 1 / 255)
    return Statistics(mean=tuple(values.mean(axis=(0, 2, 3)).tolist()), std=tuple(std.tolist()))
