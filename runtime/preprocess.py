"""Turns a decoded image into the model's input, equal to torchvision's PIL pipeline bit for bit.

    Resize(spec.resize) -> CenterCrop(spec.crop) -> ToTensor() -> Normalize(spec.mean, spec.std)
                           `crop_pixels` ends here                `preprocess` here

An 8-bit pixel has 256 values, so ToTensor and Normalize together are a table of 256 floats per
channel. The table is computed once per spec with torchvision's own float32 operations in its own
order; looking pixels up in it is exact by construction and faster than the arithmetic. Resizing is
Pillow's, without `reducing_gap` and without JPEG's draft mode: both are faster and change bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ImageError
from runtime.image_spec import CHANNEL_AXES, ImageSpec
from runtime.runner import Images

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "batch_input", "crop_pixels", "model_input", "normalise", "preprocess"]

MAX_PIXELS = 1024**3 // 4 // 3
"""Largest image that is decoded or resized to: 89 megapixels, where Pillow begins to warn."""


def model_input(image: Image, spec: ImageSpec, pixels: str) -> Images:
    """Return what a bundle's graphs take of the image; the array is the caller's to keep.

    Args:
        image: what `runtime.open_image` returns: mode L or RGB, 8 bits. Grey becomes RGB by
            repeating it and RGB becomes grey as Pillow's `convert("L")` does, both before resizing.
        spec: the manifest's `image`. `channels="BGR"` reverses the planes before mean and std,
            which are given in the order of the model's channels.
        pixels: the manifest's `pixels`.

    Raises:
        ImageError: if the spec is of an input that no image file can give, or the image is so long
            and thin that resizing it would take more than MAX_PIXELS. The message names no file.
    """
    return crop_pixels(image, spec, pixels) if pixels else preprocess(image, spec)


def batch_input(planes: Images, spec: ImageSpec, pixels: str = "") -> Images:
    """Return images that were cropped as a bundle's graphs take them, in one array.

    Args:
        planes: of `crop_pixels`, uint8 [batch, channels, height, width].
        spec: the manifest's `image`.
        pixels: the manifest's `pixels`.
    """
    if pixels:
        return np.ascontiguousarray(np.moveaxis(planes, 1, CHANNEL_AXES[pixels]))
    return np.stack([normalise(each, spec) for each in planes.astype(np.uint8, copy=False)])


def preprocess(image: Image, spec: ImageSpec) -> NDArray[np.float32]:
    """Return the image as normalised float32 [channels, height, width]; it is the caller's to keep.

    Raises:
        ImageError: as `model_input`, which says what the arguments are.
    """
    return normalise(_planes(image, spec), spec)


def crop_pixels(image: Image, spec: ImageSpec, layout: str) -> NDArray[np.uint8]:
    """Return the image as uint8 pixels, resized and cropped; the array is the caller's to keep.

    Args:
        image: as of `model_input`.
        spec: its mean, std and value range do not matter.
        layout: "NCHW" for [channels, height, width], "NHWC" for [height, width, channels].

    Raises:
        ImageError: as `model_input`.
    """
    planes = _planes(image, spec)
    return np.array(np.moveaxis(planes, 0, CHANNEL_AXES[layout] - 1), order="C")


def normalise(planes: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """Return pixels [channels, height, width] as the float32 that the spec makes of them."""
    result = np.empty(planes.shape, np.float32)
    for plane, table, output in zip(planes, _tables(spec), result, strict=True):
        # "clip" cannot act on 8-bit indices; unlike "raise" it writes to `out` without a buffer.
        np.take(table, plane, out=output, mode="clip")
    return result


def _planes(image: Image, spec: ImageSpec) -> NDArray[np.uint8]:
    """Return uint8 [channels, height, width]; not to be written to."""
    if spec.channels == "planes":
        raise ImageError(
            f"the model takes {spec.channel_count} planes, which no image file holds; "
            "give it an array instead"
        )
    mode = "L" if spec.channels == "L" else "RGB"
    if image.mode not in ("L", mode):
        image = image.convert(mode)
    pixels = np.asarray(_center_crop(_resize(image, spec), spec.crop))
    if pixels.ndim == 2:
        # Grey stays one plane until here: resizing three equal planes gives three equal planes.
        return np.broadcast_to(pixels, (spec.channel_count, *pixels.shape))
    planes = np.moveaxis(pixels, 2, 0)
    return planes[::-1] if spec.channels == "BGR" else planes


@lru_cache(maxsize=16)
def _tables(spec: ImageSpec) -> NDArray[np.float32]:
    """Return float32 [channels, 256]: what each pixel value becomes in each channel."""
    low, high = np.array(spec.value_range, np.float32)
    mean = np.array(spec.mean, np.float32)[:, None]
    std = np.array(spec.std, np.float32)[:, None]
    # Multiplied before it is divided, so that 0..255 stays whole numbers; for 0..1 it is v / 255.
    values = np.arange(256, dtype=np.float32) * (high - low) / np.float32(255) + low
    tables: NDArray[np.float32] = (values - mean) / std
    tables.setflags(write=False)
    return tables


def _resize(image: Image, spec: ImageSpec) -> Image:
    from PIL.Image import Resampling

    short, long = sorted(image.size)
    longer = int(spec.resize * long / short)
    if spec.resize * longer > MAX_PIXELS:
        raise ImageError(
            f"{image.width}x{image.height} pixels would be resized to {spec.resize}x{longer}; "
            f"expected at most {MAX_PIXELS} pixels; crop the image first"
        )
    size = (spec.resize, longer) if image.width <= image.height else (longer, spec.resize)
    if size == image.size:
        return image
    return image.resize(size, Resampling[spec.interpolation.upper()])


def _center_crop(image: Image, side: int) -> Image:
    left, top = (_crop_offset(length, side) for length in image.size)
    # Pillow fills with black what lies outside the image.
    return image.crop((left, top, left + side, top + side))


def _crop_offset(length: int, side: int) -> int:
    # torchvision rounds half to even where it crops, and down where it pads.
    return round((length - side) / 2) if length >= side else -((side - length) // 2)
