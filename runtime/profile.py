"""Profile: the shapes of images that an engine accepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.errors import OptionError

__all__ = ["Profile", "Shape", "default_profiles", "parse_profile"]

Shape = tuple[int, int, int, int]
"""Of images: batch, channels, height, width."""

_DEFAULT_BATCHES = (1, 8, 32)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The shapes an engine accepts, and the one it is tuned for: [batch, channels, height, width].

    Raises:
        OptionError: unless 1 <= smallest <= tuned <= largest in every dimension.
    """

    smallest: Shape
    tuned: Shape
    largest: Shape

    def __post_init__(self) -> None:
        sides = zip(self.smallest, self.tuned, self.largest, strict=True)
        if not all(1 <= low <= middle <= high for low, middle, high in sides):
            raise OptionError(
                f"profile: given {self}; expected 1 <= smallest <= tuned <= largest in every "
                "dimension"
            )
        if self.smallest[1] != self.largest[1]:
            raise OptionError(f"profile: given {self}; expected one number of channels throughout")

    def __str__(self) -> str:
        shapes = (self.smallest, self.tuned, self.largest)
        return ":".join("x".join(map(str, shape)) for shape in shapes)

    @property
    def is_fixed(self) -> bool:
        """Whether it accepts one shape only."""
        return self.smallest == self.largest

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Return whether images of that shape are within the profile."""
        return len(shape) == len(self.smallest) and all(
            low <= side <= high
            for low, side, high in zip(self.smallest, shape, self.largest, strict=True)
        )


def default_profiles(shape: Sequence[str], side: int) -> tuple[Profile, ...]:
    """Return the profiles for a graph of which nothing more is known: up to 32 images of its size.

    Args:
        shape: of the graph's input, each dimension a number, or the name of one that may vary.
        side: of the model's own images, in pixels.
    """
    if all(dimension.isdigit() for dimension in shape):
        return ()
    low, middle, high = (_complete(shape, (batch, 0, side, side)) for batch in _DEFAULT_BATCHES)
    return (Profile(smallest=low, tuned=middle, largest=high),)


def _complete(shape: Sequence[str], free: Shape) -> Shape:
    batch, channels, height, width = (
        int(given) if given.isdigit() else chosen for given, chosen in zip(shape, free, strict=True)
    )
    return batch, channels, height, width


def parse_profile(text: str, channels: int, side: int) -> Profile:
    """Return the profile that a command line names as smallest:tuned:largest, or as one shape.

    Args:
        text: three shapes such as 1x3x224x224:8x3x224x224:32x3x224x224, or, at the model's own
            image size, three batches: 1:8:32.
        channels: of the model's input.
        side: of the model's own images, in pixels.

    Raises:
        OptionError: if the text is no such profile.
    """
    shapes = [_parse_shape(part, channels, side) for part in text.split(":")]
    if len(shapes) == 1:
        shapes *= 3
    if len(shapes) != 3:
        raise OptionError(
            f"profile: given '{text}'; expected smallest:tuned:largest, such as 1:8:32"
        )
    return Profile(smallest=shapes[0], tuned=shapes[1], largest=shapes[2])


def _parse_shape(text: str, channels: int, side: int) -> Shape:
    parts = text.split("x")
    if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) not in (1, 4):
        raise OptionError(
            f"profile: given the shape '{text}'; expected a batch such as 8, or all of "
            f"batch x channels x height x width, such as 8x{channels}x{side}x{side}"
        )
    if len(parts) == 1:
        return int(text), channels, side, side
    batch, given, height, width = map(int, parts)
    if given != channels:
        raise OptionError(f"profile: given {given} channels in '{text}'; the model has {channels}")
    return batch, given, height, width
