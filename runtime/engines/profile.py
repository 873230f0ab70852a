"""Profile: the shapes of images that an engine accepts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.whole_number import whole_number

__all__ = ["MOST_VALUES", "Profile", "Shape", "check_profile", "default_profiles", "parse_profile"]

Shape = tuple[int, int, int, int]
"""Of images: batch, channels, height, width; of pixels that lie as NHWC: batch, height, width,
channels."""

MOST_VALUES = 2**31 - 1
"""Of a tensor that a convolution reads, as of TensorRT 10 and 11:
https://docs.nvidia.com/deeplearning/tensorrt/operators/docs/Convolution.html#volume-limits"""

_DEFAULT_BATCHES = (1, 8, 32)
_NAMES = {"N": "batch", "C": "channels", "H": "height", "W": "width"}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The shapes an engine accepts, and the one it is tuned for.

    Raises:
        OptionError: unless 1 <= smallest <= tuned <= largest in every dimension, and the largest
            has MOST_VALUES at most.
    """

    smallest: Shape
    tuned: Shape
    largest: Shape

    def __post_init__(self) -> None:
        _check_shapes(str(self), (self.smallest, self.tuned, self.largest))

    def __str__(self) -> str:
        shapes = (self.smallest, self.tuned, self.largest)
        return ":".join("x".join(map(str, shape)) for shape in shapes)

    @property
    def is_fixed(self) -> bool:
        """Whether it accepts one shape only."""
        return self.smallest == self.largest

    def fits(self, fixed: Sequence[int | None]) -> bool:
        """Return whether a graph whose dimensions are these, None if they may vary, takes it all.

        That is so where both ends have the graph's own number wherever it has one.
        """
        return len(fixed) == len(self.smallest) and all(
            side is None or side == low == high
            for side, low, high in zip(fixed, self.smallest, self.largest, strict=True)
        )

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether images of that shape are within the profile."""
        return len(shape) == len(self.smallest) and all(
            low <= side <= high
            for low, side, high in zip(self.smallest, shape, self.largest, strict=True)
        )


def default_profiles(shape: Sequence[str], side: int) -> tuple[Profile, ...]:
    """Return the profiles for a graph of which nothing more is known: up to 32 images of its size.

    Args:
        shape: of the graph's input, each dimension a number, or the name of one that may vary; its
            channels are a number.
        side: of the model's own images, in pixels.
    """
    if all(dimension.isdigit() for dimension in shape):
        return ()
    low, middle, high = (_complete(shape, (batch, side, side, side)) for batch in _DEFAULT_BATCHES)
    return (Profile(smallest=low, tuned=middle, largest=high),)


def _complete(shape: Sequence[str], free: Shape) -> Shape:
    batch, first, second, third = (
        int(given) if given.isdigit() else chosen for given, chosen in zip(shape, free, strict=True)
    )
    return batch, first, second, third


def check_profile(text: str) -> None:
    """Return if the text can be a profile of some model; `parse_profile` tells of which.

    Raises:
        OptionError: if it is a profile of none.
    """
    _check_shapes(text, [_parse_sides(part) for part in _split(text)])


def parse_profile(text: str, channels: int, side: int, layout: str = "NCHW") -> Profile:
    """Return the profile that a command line names as smallest:tuned:largest, or as one shape.

    Args:
        text: three shapes in the graph's layout, such as
            1x3x224x224:8x3x224x224:32x3x224x224, or, at the model's own image size, three
            batches: 1:8:32.
        channels: of the model's input.
        side: of the model's own images, in pixels.
        layout: of the model's input, one of `runtime.image_spec.CHANNEL_AXES`.

    Raises:
        OptionError: if the text is no such profile.
    """
    own = [side, side, side]
    own[CHANNEL_AXES[layout] - 1] = channels
    smallest, tuned, largest = (_parse_shape(part, own, layout) for part in _split(text))
    return Profile(smallest=smallest, tuned=tuned, largest=largest)


def _split(text: str) -> list[str]:
    """Return the texts of three shapes; one shape alone is all three."""
    parts = text.split(":")
    if len(parts) not in (1, 3):
        raise OptionError(
            f"profile: given '{text}'; expected smallest:tuned:largest, such as 1:8:32"
        )
    return parts if len(parts) == 3 else parts * 3


def _parse_sides(text: str, layout: str = "NCHW", own: Sequence[int] = (3, 224, 224)) -> list[int]:
    """Return a batch alone, or a batch with three sides; `own` are those to give as an example."""
    parts = text.split("x")
    numbers = [number for part in parts if (number := whole_number(part)) is not None]
    if len(numbers) != len(parts) or len(parts) not in (1, 4):
        names = " x ".join(_NAMES[letter] for letter in layout)
        raise OptionError(
            f"profile: given the shape '{text}'; expected a batch such as 8, or all of {names}, "
            f"such as {'x'.join(map(str, (8, *own)))}"
        )
    return numbers


def _check_shapes(given: str, shapes: Sequence[Sequence[int]]) -> None:
    if any(math.prod(shape) > MOST_VALUES for shape in shapes):
        raise OptionError(
            f"profile: given {given}; expected at most {MOST_VALUES:,} values in all images of a "
            "batch, which is what TensorRT's convolutions take; lower the batch, or the size"
        )
    # A batch beside whole shapes is compared with theirs; its sides are the model's own.
    if not all(1 <= low <= middle <= high for low, middle, high in zip(*shapes, strict=False)):
        raise OptionError(
            f"profile: given {given}; expected 1 <= smallest <= tuned <= largest in every dimension"
        )


def _parse_shape(text: str, own: Sequence[int], layout: str) -> Shape:
    sides = _parse_sides(text, layout, own)
    batch, first, second, third = sides if len(sides) == 4 else (*sides, *own)
    axis = CHANNEL_AXES[layout]
    given, channels = (batch, first, second, third)[axis], own[axis - 1]
    if given != channels:
        raise OptionError(f"profile: given {given} channels in '{text}'; the model has {channels}")
    return batch, first, second, third
