"""View: a way to turn an image into a model's input."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from runtime.image_spec import ImageSpec
from runtime.preprocess import crop_pixels, normalise

__all__ = ["Geometry", "View"]


@dataclass(frozen=True)
class Geometry:
    """What decides which pixels are seen, whatever becomes of their values."""

    resize: int
    crop: int
    interpolation: str
    squashed: bool

    def planes(self, image: Image, spec: ImageSpec) -> NDArray[np.uint8]:
        """Return the image as uint8 [channels, crop, crop], colours in the order RGB."""
        channels = "L" if spec.channels == "L" else "RGB"
        upright = replace(
            spec,
            resize=self.resize,
            crop=self.crop,
            interpolation=self.interpolation,
            channels=channels,
        )
        if self.squashed:
            filter_ = Resampling[self.interpolation.upper()]
            image = image.resize((self.crop, self.crop), filter_)
        return crop_pixels(image, upright, "NCHW")


@dataclass(frozen=True, kw_only=True)
class View:
    """A way to turn an image into the model's input."""

    spec: ImageSpec
    squashed: bool = False
    """Both sides are resized to the crop, whatever the image's shape."""
    inverted: bool = False
    """Black is white."""

    @property
    def geometry(self) -> Geometry:
        """Which pixels are seen."""
        spec = self.spec
        return Geometry(
            spec.crop if self.squashed else spec.resize,
            spec.crop,
            spec.interpolation,
            self.squashed,
        )

    def images(self, planes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return pixels [channels, crop, crop] in the order RGB as the model's float32 input."""
        if self.spec.channels == "BGR":
            planes = planes[::-1]
        return normalise(255 - planes if self.inverted else planes, self.spec)
