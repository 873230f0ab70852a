"""Measures the mean and standard deviation of images, as the model is to see them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL.Image import Image

from runtime.errors import OptionError
from runtime.image_spec import ImageSpec
from runtime.preprocess import preprocess

__all__ = ["measure_statistics"]

_LEAST_STD = 1e-3
"""In shares of the value range: a quarter of a step of 8-bit pixels, and less is no picture."""


def measure_statistics(images: Iterable[Image], spec: ImageSpec) -> ImageSpec:
    """Return the spec with mean and standard deviation of all pixels of all images, per channel.

    They are taken after resizing and cropping, and rounded to four digits of the value range.

    Raises:
        OptionError: if there is nothing to see: all pixels of a channel are equal.
        ImageError: if an image cannot be resized.
    """
    channels = spec.channel_count
    bare = replace(spec, mean=(0.0,) * channels, std=(1.0,) * channels)
    sums, squares, count = np.zeros(channels), np.zeros(channels), 0
    for image in images:
        values = preprocess(image, bare).astype(np.float64)
        sums += values.sum(axis=(1, 2))
        squares += np.square(values).sum(axis=(1, 2))
        count += values[0].size
    mean = sums / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    low, high = spec.value_range
    if std.min() < _LEAST_STD * (high - low):
        raise OptionError(
            f"the training images are all of one brightness (standard deviation {std.min():.1e}); "
            "expected pictures"
        )
    return replace(
        spec,
        mean=tuple(round(float(value), 4) for value in mean),
        std=tuple(round(float(value), 4) for value in std),
    )
