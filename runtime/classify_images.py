"""Classifies image files with a bundle's model, in constant memory however many they are.

Files are read by a few threads, at most one batch ahead of the model: Pillow leaves the interpreter
while it decodes and resizes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.classify import RankedClass, classify
from runtime.errors import ImageError, OptionError
from runtime.image_spec import ImageSpec
from runtime.images import load_image
from runtime.manifest import Manifest, TensorInfo
from runtime.runner import Images, Logits, Runner

__all__ = ["Classified", "Request", "classify_images"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of the model for each image.

    Raises:
        OptionError: if a field is less than 1.
    """

    variant: str = "fp32"
    top: int = 5
    """How many classes of each image."""
    batch: int = 8
    """How many images the model is given at once; a model of fixed batch takes its own."""

    def __post_init__(self) -> None:
        if min(self.top, self.batch) < 1:
            raise OptionError(f"given top {self.top}, batch {self.batch}; expected at least 1 each")


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What became of one image file."""

    image: Path
    classes: tuple[RankedClass, ...] = ()
    """The most probable first; none if the image could not be read."""
    error: str = ""
    """Why it could not be read."""


def classify_images(
    images: Sequence[Path], runner: Runner, manifest: Manifest, request: Request
) -> Iterator[Classified]:
    """Yield what became of each image, in order. An image that cannot be read stops no other.

    Args:
        images: the files.
        runner: of the variant that is requested.
        manifest: of the bundle the runner is from.
        request: how many classes, how many images at once.

    Raises:
        OptionError: if the model takes other images than its preprocessing makes.
        BackendError: if the model cannot be run, or yields NaN.
    """
    tensor = manifest.variants[request.variant].input
    _check_size(tensor, manifest.image)
    fixed = int(tensor.shape[0]) if tensor.shape[0].isdigit() else 0
    for chunk in _load_ahead(images, manifest.image, fixed or request.batch):
        batch = [loaded for _, loaded in chunk if not isinstance(loaded, ImageError)]
        logits = _run(runner, batch, fixed) if batch else np.empty((0, 1), np.float32)
        ranked = iter(classify(logits, manifest.labels if batch else (), request.top))
        for image, loaded in chunk:
            if isinstance(loaded, ImageError):
                yield Classified(image=image, error=str(loaded))
            else:
                yield Classified(image=image, classes=next(ranked))


def _check_size(tensor: TensorInfo, spec: ImageSpec) -> None:
    if spec.channels == "planes":
        raise OptionError(
            f"the model takes {spec.channel_count} planes, which no image file holds; "
            "run it from Python on an array"
        )
    made = (spec.channel_count, spec.crop, spec.crop)
    fits = all(not d.isdigit() or int(d) == n for d, n in zip(tensor.shape[1:], made, strict=True))
    if not fits:
        raise OptionError(
            f"the model takes images of {'x'.join(tensor.shape[1:])}, its preprocessing makes "
            f"{'x'.join(map(str, made))}; export it with a --crop that fits"
        )


def _run(runner: Runner, batch: list[Images], fixed: int) -> Logits:
    """Return the logits of single images; a model of fixed batch gets its fill of the last one."""
    filled = batch + batch[-1:] * (fixed - len(batch))
    return runner.logits(np.stack(filled))[: len(batch)]


def _load_ahead(
    images: Sequence[Path], spec: ImageSpec, size: int
) -> Iterator[list[tuple[Path, Images | ImageError]]]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        chunks = (
            [(image, pool.submit(_load, image, spec)) for image in images[start : start + size]]
            for start in range(0, len(images), size)
        )
        current = next(chunks, [])
        while current:
            following = next(chunks, [])  # under way while the model runs the current one
            yield [(image, future.result()) for image, future in current]
            current = following
    finally:
        pool.shutdown(cancel_futures=True)


def _load(image: Path, spec: ImageSpec) -> Images | ImageError:
    try:
        return load_image(image, spec)
    except ImageError as error:
        return error
