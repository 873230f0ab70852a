"""ImageSpec: how an image file becomes the model's input. One contract that every part reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.errors import OptionError

__all__ = ["CHANNEL_AXES", "CHANNEL_ORDERS", "INTERPOLATIONS", "ImageSpec"]

CHANNEL_AXES = {"NCHW": 1, "NHWC": 3}
"""Where a batch has its channels: plane after plane, or pixel after pixel as in image files."""

CHANNEL_ORDERS = {"L": 1, "RGB": 3, "BGR": 3}
"""The channel orders an image file can be turned into, and how many channels each has."""

INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Geometry and normalisation of a classifier's input.

    An image is resized so that its shorter side is `resize` pixels (longer side rounded down, as
    torchvision's Resize does), then its central `crop` x `crop` pixels are kept (padded with black
    where the image is smaller). A value v of 0..255 in channel c becomes
    `(low + v / 255 * (high - low) - mean[c]) / std[c]` with `low, high = value_range`.

    Raises:
        OptionError: if a field is out of range or the lengths of mean, std and channels disagree.
    """

    resize: int
    """Shorter side after resizing, in pixels."""
    crop: int
    """Side of the central square that is kept, in pixels."""
    mean: tuple[float, ...]
    """One per channel, in units of value_range."""
    std: tuple[float, ...]
    """One per channel, in units of value_range."""
    channels: str = "RGB"
    """"RGB", "BGR" or "L"; "planes" for an input that no image file can give."""
    interpolation: str = "bilinear"
    """Antialiased, as Pillow computes it: "bilinear" or "bicubic"."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """What the pixel values 0 and 255 become before mean and std are applied."""

    def __post_init__(self) -> None:
        if not 1 <= self.resize <= 8192 or not 1 <= self.crop <= 8192:
            raise OptionError(
                f"image size: given resize {self.resize}, crop {self.crop}; "
                "expected 1 to 8192 pixels each"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise OptionError(
                f"interpolation: given '{self.interpolation}'; expected one of "
                f"{', '.join(INTERPOLATIONS)}"
            )
        if self.channels not in (*CHANNEL_ORDERS, "planes"):
            raise OptionError(
                f"channel order: given '{self.channels}'; expected one of "
                f"{', '.join(CHANNEL_ORDERS)}, planes"
            )
        count = CHANNEL_ORDERS.get(self.channels, len(self.mean))
        if not len(self.mean) == len(self.std) == count:
            raise OptionError(
                f"normalisation: given {len(self.mean)} means and {len(self.std)} standard "
                f"deviations; expected {count} of each for channel order {self.channels}"
            )
        low, high = self.value_range
        numbers = (*self.mean, *self.std, low, high)
        if not all(math.isfinite(n) for n in numbers) or min(self.std) <= 0 or low >= high:
            raise OptionError(
                f"normalisation: given mean {self.mean}, std {self.std}, value range "
                f"{self.value_range}; expected finite numbers, std > 0 and low < high"
            )

    @property
    def channel_count(self) -> int:
        """Number of channels of the model's input."""
        return len(self.mean)

    def shape(self, layout: str = "NCHW") -> tuple[int, int, int]:
        """Return the shape of one image in a layout of CHANNEL_AXES."""
        shape = [self.crop, self.crop]
        shape.insert(CHANNEL_AXES[layout] - 1, self.channel_count)
        return shape[0], shape[1], shape[2]
