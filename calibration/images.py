"""Calibration images: which files are taken, what they hold, and their float32 batches."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from calibration.take_evenly import take_evenly
from runtime.errors import ImageError, OptionError
from runtime.find_images import find_images
from runtime.image_spec import ImageSpec
from runtime.open_image import open_image
from runtime.preprocess import preprocess

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Batch", "ImageFile", "ImageRecord", "choose_images", "read_batches"]

_PATCH = 256
"""Side in pixels of the middle part of an image that its statistics are taken from."""
_READERS = 2
"""Threads: decoding takes less than what is done with an image, whatever the number of cores."""


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A file that was chosen."""

    path: Path
    sha256: str
    """Of its bytes; empty where it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """What was found in one file."""

    name: str
    sha256: str
    error: str = ""
    """Why the file was skipped; the other fields are then of no meaning."""
    width: int = 0
    height: int = 0
    mode: str = ""
    """"L" or "RGB", as decoded."""
    constant: bool = False
    """All pixels are equal, as in a black image."""
    saturated: float = 0.0
    """Share of values that are 0 or 255, 0 to 1."""
    correlation: float = 0.0
    """Between neighbouring pixels, -1 to 1; about 0 in noise."""
    loudness: float = 0.0
    """Norm of the model's output; 0 before it has run."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some of the images, in order."""

    images: NDArray[np.float32]
    """float32 [batch, channels, height, width]; skipped files have no row."""
    records: tuple[ImageRecord, ...]
    """One a file, skipped ones included."""


_Loaded: TypeAlias = tuple[NDArray[np.float32] | None, ImageRecord]
"""An image, unless it cannot be read, and what was found in its file."""


def choose_images(
    folder: Path, count: int, without: Collection[ImageFile] = ()
) -> tuple[tuple[ImageFile, ...], int]:
    """Return at most `count` image files below the folder, and how many there are to choose from.

    They are spread evenly over the list of all files sorted by path: the same folder gives the same
    choice, and subfolders, such as one a class, are represented by their size.

    Args:
        folder: with images in it or in its subfolders.
        count: at most.
        without: files that serve another purpose; they and their copies are left out.

    Raises:
        OptionError: if there is no such folder or no image in it.
    """
    if not folder.is_dir():
        raise OptionError(f"there is no folder '{folder}'; expected one with images")
    taken = {file.path for file in without}
    found = [path for path in find_images([folder]) if path not in taken]
    files = (ImageFile(path=path, sha256=_hash(path)) for path in take_evenly(found, count))
    copies = {file.sha256 for file in without}
    return tuple(file for file in files if file.sha256 not in copies), len(found)


def read_batches(files: Sequence[ImageFile], spec: ImageSpec, size: int) -> Iterator[Batch]:
    """Yield the files' images, `size` files at a time, preprocessed as the model wants them.

    The next ones are read while the caller works on these. A file that cannot be read is skipped;
    its record says why.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        ahead = _begin(pool, files[:size], spec)
        for start in range(size, len(files) + size, size):
            begun, ahead = ahead, _begin(pool, files[start : start + size], spec)
            yield _batch([future.result() for future in begun], spec)


def _begin(
    pool: ThreadPoolExecutor, files: Sequence[ImageFile], spec: ImageSpec
) -> list[Future[_Loaded]]:
    return [pool.submit(_load, file, spec) for file in files]


def _batch(loaded: Sequence[_Loaded], spec: ImageSpec) -> Batch:
    images = [image for image, _ in loaded if image is not None]
    empty = np.empty((0, spec.channel_count, spec.crop, spec.crop), np.float32)
    return Batch(
        images=np.stack(images) if images else empty,
        records=tuple(record for _, record in loaded),
    )


def _hash(path: Path) -> str:
    try:
        # A pipe would be waited for until somebody writes into it.
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        return ""  # open_image will say what is wrong


def _load(file: ImageFile, spec: ImageSpec) -> _Loaded:
    try:
        image = open_image(file.path)
        values = preprocess(image, spec)
    except ImageError as error:
        reason = str(error).removeprefix(f"{file.path}: ")
        return None, ImageRecord(name=str(file.path), sha256=file.sha256, error=reason)
    return values, _describe(file, image)


def _describe(file: ImageFile, image: Image) -> ImageRecord:
    left, top = max(0, (image.width - _PATCH) // 2), max(0, (image.height - _PATCH) // 2)
    right, bottom = min(image.width, left + _PATCH), min(image.height, top + _PATCH)
    patch = image.crop((left, top, right, bottom))
    values = np.asarray(patch)
    extremes = image.getextrema()
    bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
    return ImageRecord(
        name=str(file.path),
        sha256=file.sha256,
        width=image.width,
        height=image.height,
        mode=image.mode,
        constant=all(low == high for low, high in bands),
        saturated=float(((values == 0) | (values == 255)).mean()),
        correlation=_correlation(np.asarray(patch.convert("L"), np.float32)),
    )


def _correlation(pixels: NDArray[np.float32]) -> float:
    """Return the correlation of pixels with their right and lower neighbours; 1 if constant."""
    deviations = pixels - pixels.mean()
    variance = float((deviations**2).mean())
    across = float((deviations[:, 1:] * deviations[:, :-1]).mean())
    down = float((deviations[1:] * deviations[:-1]).mean())
    return (across + down) / 2 / variance if variance else 1.0
