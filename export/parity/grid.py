"""The parity grid: which batches and image sizes a candidate is compared on.

A graph that is right at the size it was traced at can be wrong at every other one, so the grid has
batches of 1, 2, 5 and 8, sizes from 32 to 512, odd ones, non-square ones, and the model's own with
real images. It is ordered by what a case can show beyond the ones before it; where the budget
cannot pay for all, the cases that do not fit are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from export.classifier import Classifier
from export.parity.truths import Case
from runtime.image_spec import CHANNEL_AXES
from runtime.open_image import open_image
from runtime.preprocess import model_input

__all__ = ["Grid", "plan_grid", "plan_static_grid", "tile"]

_Value = TypeVar("_Value", bound=np.generic)

# Batch, height, width. The first six are never left out: they are cheap, and have every batch, odd
# sizes and both ends of the range.
SHAPES = (
    (2, 33, 47), (1, 32, 32), (5, 47, 33), (8, 32, 32), (1, 32, 512), (1, 512, 64),
    (2, 96, 64), (5, 65, 65), (8, 64, 64), (1, 129, 127), (2, 97, 131), (1, 160, 192),
    (1, 512, 512), (2, 224, 224), (5, 96, 96), (8, 96, 80), (1, 255, 257), (2, 128, 224),
    (1, 192, 320), (1, 384, 256), (1, 289, 415), (2, 256, 256), (1, 512, 288), (5, 224, 224),
)  # fmt: skip
NEVER_LEFT_OUT = 6


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The cases that the budget pays for."""

    cases: tuple[Case, ...]
    left_out: tuple[str, ...]
    """Shapes that did not fit, as "batch x height x width"."""
    golden: int
    """How many cases, from the first, are worth recording: the real images, and one random case of
    an odd size, so that a device proves its dynamic dimensions too."""


def plan_grid(
    classifier: Classifier,
    photographs: Sequence[Path],
    budget_gmacs: float,
    macs: int,
    pixels: str = "",
) -> Grid:
    """Return the grid for a graph with dynamic batch, height and width.

    Args:
        classifier: the model under test.
        photographs: real images; each becomes a case of the model's own size.
        budget_gmacs: what the cases may cost together, in 10^9 multiply-accumulates.
        macs: multiply-accumulates of one image of the model's own size.
        pixels: the layout of a graph that takes pixels; "" for one that takes normalised images.
    """
    side = classifier.image.crop
    real = list(_photograph_cases(classifier, photographs, pixels))
    spent = len(real) * macs / 1e9
    cases, left_out = list(real), []
    for index, (batch, height, width) in enumerate(SHAPES):
        cost = batch * macs * (height * width) / side**2 / 1e9
        if index >= NEVER_LEFT_OUT and spent + cost > budget_gmacs:
            left_out.append(f"{batch}x{height}x{width}")
            continue
        spent += cost
        cases.append(_random_case(classifier, (batch, height, width), pixels))
    return Grid(cases=tuple(cases), left_out=tuple(left_out), golden=len(real) + 1)


def plan_static_grid(
    classifier: Classifier,
    photographs: Sequence[Path],
    shape: tuple[int, int, int, int],
    pixels: str = "",
) -> Grid:
    """Return the cases for a graph that takes one shape only: random ones, and real images.

    Args:
        classifier: the model under test.
        photographs: real images, which are repeated until they fill the shape.
        shape: [batch, channels, height, width], whatever the layout.
        pixels: as of `plan_grid`.
    """
    batch, _, height, width = shape
    random = _random_case(classifier, (batch, height, width), pixels)
    real = [
        Case(content=case.content, images=tile(case.images, random.images.shape))
        for case in _photograph_cases(classifier, photographs, pixels)
    ]
    cases = (*real, random)
    return Grid(cases=cases, left_out=(), golden=len(cases))


def _photograph_cases(
    classifier: Classifier, photographs: Sequence[Path], pixels: str
) -> Iterator[Case]:
    if classifier.image.channels == "planes":
        return
    for path in photographs:
        image = model_input(open_image(path), classifier.image, pixels)
        yield Case(content=f"photograph {path.name}", images=image[np.newaxis])


def _random_case(classifier: Classifier, size: tuple[int, int, int], pixels: str) -> Case:
    # Not zeros: on a black image most channels agree by accident.
    rng = np.random.default_rng(size)
    if not pixels:
        batch, height, width = size
        shape = (batch, classifier.in_channels, height, width)
        return Case(content="random normal", images=rng.standard_normal(shape, dtype=np.float32))
    sides = list(size)
    sides.insert(CHANNEL_AXES[pixels], classifier.in_channels)
    return Case(content="random pixels", images=rng.integers(0, 256, sides, np.uint8))


def tile(images: NDArray[_Value], shape: tuple[int, ...]) -> NDArray[_Value]:
    """Repeat an image until it fills the shape: a static graph takes no other size."""
    times = [-(-side // given) for side, given in zip(shape, images.shape, strict=True)]
    return np.ascontiguousarray(np.tile(images, times)[tuple(map(slice, shape))])
