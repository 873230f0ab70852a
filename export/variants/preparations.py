"""The usual ways to prepare images other than a model wants them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from runtime.image_spec import ImageSpec

__all__ = ["other_preparations"]


def other_preparations(image: ImageSpec) -> Iterator[tuple[str, str, ImageSpec]]:
    """Yield the name of a cause, what is done about it, and the preprocessing that does it."""
    swapped = {"RGB": "BGR", "BGR": "RGB"}.get(image.channels)
    mean, std = np.array(image.mean), np.array(image.std)
    if swapped:
        yield (
            "channel order",
            f"images read as {swapped}",
            dataclasses.replace(image, channels=swapped),
        )
    for name, tried, other_mean, other_std in (
        ("missing normalisation", "mean 0, std 1", 0 * mean, 0 * std + 1),
        ("missing normalisation", "mean and std of 0.5", 0 * mean + 0.5, 0 * std + 0.5),
        ("double normalisation", "normalised twice", mean + mean * std, std * std),
    ):
        if not (np.allclose(mean, other_mean) and np.allclose(std, other_std)):
            normalised = dataclasses.replace(
                image, mean=tuple(other_mean.tolist()), std=tuple(other_std.tolist())
            )
            yield name, tried, normalised
    for resize in (image.crop, round(image.crop * 8 / 7), 2 * image.crop):
        if resize != image.resize:
            tried = f"resized to {resize} instead of {image.resize}"
            yield "wrong crop", tried, dataclasses.replace(image, resize=resize)
