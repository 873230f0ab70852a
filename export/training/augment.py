"""Augmentations: what is done to a training image before it is preprocessed.

    none         the middle of the image, as in validation
    photograph   torchvision's ImageNet recipe: RandomResizedCrop, horizontal flip, colour jitter
    inspection   parts that lie before a camera, where there is no up and every pixel counts: any
                 crop of the resized image, both flips, a turn of a few degrees, a little light

All of them are Pillow image to Pillow image of crop x crop pixels, so that what follows is the
runtime's own preprocessing, bit for bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeAlias

import torch
from PIL.Image import Image
from torchvision.transforms import InterpolationMode, v2

from runtime.errors import OptionError
from runtime.image_spec import ImageSpec

__all__ = ["AUGMENTATIONS", "Transform", "augmentation", "draw"]

AUGMENTATIONS = ("none", "photograph", "inspection")

Transform: TypeAlias = Callable[[Image], Image]
"""Draws from torch's global generator."""

MAX_TURN_DEGREES = 4.0
"""Of parts that were laid down straight."""
LIGHT = 0.2
"""Brightness and contrast of parts are multiplied by 1 +- this."""
COLOUR = 0.4
"""Brightness, contrast and saturation of photographs are multiplied by 1 +- this."""


def augmentation(name: str, spec: ImageSpec) -> Transform:
    """Return one of AUGMENTATIONS for images of the given geometry.

    Raises:
        OptionError: if there is none of that name.
    """
    how = InterpolationMode(spec.interpolation)
    resize = v2.Resize(spec.resize, how)
    if name == "none":
        steps = [resize, v2.CenterCrop(spec.crop)]
    elif name == "photograph":
        steps = [
            v2.RandomResizedCrop(spec.crop, interpolation=how),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(COLOUR, COLOUR, COLOUR),
        ]
    elif name == "inspection":
        steps = [
            resize,
            v2.RandomRotation(MAX_TURN_DEGREES, InterpolationMode.BILINEAR),
            v2.RandomCrop(spec.crop, pad_if_needed=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.ColorJitter(LIGHT, LIGHT),
        ]
    else:
        raise OptionError(
            f"augmentation: given '{name}'; expected one of {', '.join(AUGMENTATIONS)}"
        )
    composed: Transform = v2.Compose(steps)
    return composed


def draw(transform: Transform, image: Image, seed: int, epoch: int, index: int) -> Image:
    """Return the transformed image: the same for the same seed, epoch and index of the image.

    That makes chance a matter of position: no state of a generator has to be carried over a kill,
    and any number of workers gives the same images.
    """
    digest = hashlib.blake2b(f"{seed} {epoch} {index}".encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(digest, "little") >> 1)
        return transform(image)
