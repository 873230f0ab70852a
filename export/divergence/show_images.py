"""Makes the batches that the module and the graph are both shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.images import choose_images
from export.parity.grid import tile
from export.samples import sample_images
from runtime.errors import ImageError, OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.manifest import Manifest
from runtime.open_image import load_image
from runtime.preprocess import batch_input
from runtime.runner import Images

__all__ = ["Shown", "choose_files", "show_images"]

_RANDOM_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One batch as both see it."""

    images: Images
    """float32 [batch, channels, height, width], normalised: what PyTorch takes."""
    fed: Images
    """What the graph takes: the same, or its pixels."""


def choose_files(
    data: Path | None, count: int, samples: str, manifest: Manifest
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the images to show, and why others are skipped.

    They are those of a folder, evenly spread, or of this package; none for a model whose input no
    image file can give.

    Raises:
        OptionError: if there is no such folder or no image in it, or no file can be its input.
        ImageError: if none of those chosen can be read.
    """
    if manifest.image.channels == "planes":
        if data is not None:
            raise OptionError(
                f"--data: the model takes {manifest.image.channel_count} planes, which no image "
                "file holds; leave it out, and random images are shown"
            )
        return (), ()
    if data is None:
        return tuple(sample_images(samples)[:count]), ()
    return _sort_out([file.path for file in choose_images(data, count)[0]], manifest)


def show_images(
    files: Sequence[Path], manifest: Manifest, count: int, batch: int
) -> Iterator[Shown]:
    """Yield the images in batches, as PyTorch and as the bundle's graphs take them.

    Without files: `count` random ones, seeded.

    Raises:
        ImageError: if a file cannot be read.
    """
    shape = _shape(manifest)
    if not files:
        rng = np.random.default_rng(_RANDOM_SEED)
        for first in range(0, count, batch):
            rows = min(batch, count - first)
            images = rng.standard_normal((rows, *shape), dtype=np.float32)
            yield Shown(images=images, fed=images)
        return
    spec, pixels = manifest.image, manifest.pixels
    for first in range(0, len(files), batch):
        some = files[first : first + batch]
        planes = np.stack([tile(_load(file, manifest), shape) for file in some])
        normalised = batch_input(planes, spec)
        fed = batch_input(planes, spec, pixels) if pixels else normalised
        yield Shown(images=normalised, fed=fed)


def _sort_out(
    files: Sequence[Path], manifest: Manifest
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the files that can be read, and why the others cannot."""
    readable, skipped = [], []
    for file in files:
        try:
            _load(file, manifest)
        except ImageError as error:
            skipped.append(str(error))
        else:
            readable.append(file)
    if not readable:
        raise ImageError(f"none of {len(files)} images could be read; the first: {skipped[0]}")
    return tuple(readable), tuple(skipped)


def _load(file: Path, manifest: Manifest) -> NDArray[np.uint8]:
    return load_image(file, manifest.image, "NCHW").astype(np.uint8, copy=False)


def _shape(manifest: Manifest) -> tuple[int, int, int]:
    """Return channels, height and width: those of the preprocessing, but for a static graph."""
    sizes = list(manifest.variants["fp32"].input.sizes)
    if manifest.pixels:
        sizes.insert(1, sizes.pop(CHANNEL_AXES[manifest.pixels]))
    side = manifest.image.crop
    height, width = (size or side for size in sizes[2:])
    return manifest.image.channel_count, height, width
