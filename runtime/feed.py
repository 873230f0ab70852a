"""Feeds a model images from files: loads them ahead of it, and fills the batches that it fixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ImageError, OptionError

if TYPE_CHECKING:
    from runtime.manifest import Manifest
    from runtime.runner import Images, Logits, Runner
    from runtime.variant import TensorInfo, Variant

__all__ = ["Chunk", "check_classifier", "fill_batch", "fixed_batch", "load_ahead", "run_chunk"]

Chunk = list[tuple[Path, "Images | ImageError"]]
"""Files in order, each with its image as the model takes it, or why it could not be read."""


def check_classifier(variant: Variant, manifest: Manifest) -> None:
    """Return if the variant names the classes of image files.

    Raises:
        OptionError: if it gives something else than classes, or takes something else than its
            preprocessing makes of a file.
    """
    _check_head(variant)
    _check_size(variant.input, manifest)


def fixed_batch(variant: Variant) -> int:
    """Return how many images the variant takes at once; 0 if any number."""
    return variant.input.sizes[0] or 0


def fill_batch(images: Images, fixed: int) -> Images:
    """Return the images, the last one repeated until there are as many as a fixed batch wants.

    Args:
        images: one at least.
        fixed: 0 wants none more.
    """
    import numpy as np

    missing = fixed - len(images)
    if missing <= 0:
        return images
    return np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])


def load_ahead(
    images: Sequence[Path], manifest: Manifest, size: int, pool: Executor
) -> Iterator[Chunk]:
    """Start to load the first chunk, and return an iterator that loads one more than is taken."""

    def start_loading(first: int) -> list[tuple[Path, Future[Images | ImageError]]]:
        chunk = images[first : first + size]
        return [(image, pool.submit(_load, image, manifest)) for image in chunk]

    def take(current: list[tuple[Path, Future[Images | ImageError]]]) -> Iterator[Chunk]:
        for first in range(size, len(images) + size, size):
            following = start_loading(first)  # under way while the caller works on this one
            yield [(image, loading.result()) for image, loading in current]
            current = following

    return take(start_loading(0))


def run_chunk(runner: Runner, chunk: Chunk, fixed: int) -> Logits | None:
    """Return the logits of the images that could be read; None if there are none.

    A model of fixed batch gets its fill of the last image.
    """
    import numpy as np

    loaded = [image for _, image in chunk if not isinstance(image, ImageError)]
    if not loaded:
        return None
    return runner.logits(fill_batch(np.stack(loaded), fixed))[: len(loaded)]


def _load(image: Path, manifest: Manifest) -> Images | ImageError:
    from runtime.open_image import load_image

    try:
        return load_image(image, manifest.image, manifest.pixels)
    except ImageError as error:
        return error


def _check_head(variant: Variant) -> None:
    names = [output.name for output in variant.outputs]
    if names in (["features"], [f"stage{number + 1}" for number in range(len(names))]):
        raise OptionError(
            f"the model gives {', '.join(names)}, not classes; run it from Python, or export it "
            "with --head logits"
        )


def _check_size(tensor: TensorInfo, manifest: Manifest) -> None:
    spec = manifest.image
    if spec.channels == "planes":
        raise OptionError(
            f"the model takes {spec.channel_count} planes, which no image file holds; "
            "run it from Python on an array"
        )
    made = spec.shape(manifest.pixels or "NCHW")
    taken = zip(tensor.sizes[1:], made, strict=True)
    if not all(size in (None, side) for size, side in taken):
        raise OptionError(
            f"the model takes images of {'x'.join(tensor.shape[1:])}, its preprocessing makes "
            f"{'x'.join(map(str, made))}; export it with a --crop that fits"
        )
