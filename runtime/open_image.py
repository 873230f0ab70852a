"""Opens image files: in one known form, or with one line that says why not.

What becomes of the less common kinds, on purpose:

    colour, alpha, palette   as `Image.convert("RGB")`, as torchvision's ImageFolder reads them:
                             alpha is dropped and the colour stored under it shows
    CMYK, YCbCr, LAB         Pillow's conversion to RGB, without colour profiles
    1 bit                    black and white, as grey
    16-bit grey              65535 is white: scaled to 8 bits and rounded (Pillow alone would clip)
    16 bits a colour         the high byte, which is all that Pillow reads
    32-bit integers          as 16-bit grey if no value lies outside 0..65535, else refused
    floating point           refused: the file does not say what white is
    animation, many pages    the first one
    EXIF orientation         applied; metadata that cannot be read counts as absent
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import ImageError
from runtime.image_spec import ImageSpec
from runtime.preprocess import MAX_PIXELS, model_input
from runtime.runner import Images

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "SUFFIX_FORMATS",
    "decode_image",
    "load_image",
    "open_image",
]

# Only these of Pillow's forty formats are tried: among the others is EPS, which runs Ghostscript.
SUFFIX_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".jp2": "JPEG2000",
    ".avif": "AVIF",
}
"""File name endings that folders and globs are searched for, and Pillow's name of each format."""

MIN_SIDE = 2
"""Shortest side in pixels; there is nothing to classify in less."""

_FILTERS = threading.Lock()


def load_image(path: str | os.PathLike[str], spec: ImageSpec, pixels: str = "") -> Images:
    """Return the image file as one image of the model's input.

    Args:
        path: the file.
        spec: the manifest's `image`.
        pixels: the manifest's `pixels`: "" gives normalised float32 [channels, height, width], a
            layout uint8.

    Raises:
        ImageError: if the file cannot be opened or preprocessed. The message names the file.
    """
    image = open_image(path)
    try:
        return model_input(image, spec, pixels)
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)}: {error}") from None


def open_image(path: str | os.PathLike[str]) -> Image:
    """Return the image in mode L or RGB, 8 bits a channel, upright, wholly decoded.

    Raises:
        ImageError: if the file is missing, of no known format, truncated or broken, of a kind that
            has no 8-bit meaning, smaller than 2x2 pixels or larger than MAX_PIXELS. Sizes are
            checked in the header, before anything is decoded. The message names the file.
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        reason = "is not a file" if os.path.exists(name) else "no such file"
        raise ImageError(f"{name}: {reason}; expected an image")
    return _decode(name, name, MAX_PIXELS)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image:
    """Return the image in the bytes of a file, as `open_image` does.

    Args:
        data: the file's bytes.
        name: what to call it in messages; its ending says which format is tried first.
        max_pixels: most pixels it may have; at most MAX_PIXELS.

    Raises:
        ImageError: as `open_image`.
    """
    return _decode(io.BytesIO(data), name, min(max_pixels, MAX_PIXELS))


def _decode(source: str | io.BytesIO, name: str, max_pixels: int) -> Image:
    try:
        return _decode_or_raise(source, name, max_pixels)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    # Pillow's decoders raise whatever the broken bytes led to: OSError, ValueError, IndexError.
    except Exception as error:
        raise ImageError(f"{name}: {_explain(error)}") from None


def _decode_or_raise(source: str | io.BytesIO, name: str, max_pixels: int) -> Image:
    from PIL import Image, ImageOps

    # The format its name promises goes first: Pillow then loads one plugin instead of forty.
    promised = SUFFIX_FORMATS.get(os.path.splitext(name)[1].lower())
    formats = sorted(set(SUFFIX_FORMATS.values()), key=lambda known: known != promised)
    with _no_warnings():
        opened = Image.open(source, formats=formats)
    with opened as image:
        width, height = image.size
        if min(width, height) < MIN_SIDE:
            raise ImageError(
                f"{width}x{height} pixels; expected at least {MIN_SIDE}x{MIN_SIDE} to classify"
            )
        if width * height > max_pixels:
            raise ImageError(
                f"{width}x{height} pixels; expected at most {max_pixels} pixels in all; "
                "scale the image down first"
            )
        image.load()
        # What broken EXIF raises depends on how it is broken; the pixels are whole by now.
        with contextlib.suppress(Exception), _no_warnings():
            ImageOps.exif_transpose(image, in_place=True)
        return _to_eight_bits(image)


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep to itself what Pillow warns of: broken metadata, and sizes that are refused anyway."""
    # Filters belong to the process, so threads take turns; decoding, which takes long, is outside.
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _to_eight_bits(image: Image) -> Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "F":
        raise ImageError("holds floating point values; expected 8 or 16 bits; convert it first")
    if image.mode.startswith("I"):
        return _scale_sixteen_bits(image)
    # Transparency is dropped below; Pillow would warn of it where it is given per palette entry.
    image.info.pop("transparency", None)
    return image.convert("L" if image.mode in ("1", "LA", "La") else "RGB")


def _scale_sixteen_bits(image: Image) -> Image:
    from PIL import Image as PillowImage

    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"holds integers from {values.min()} to {values.max()}; "
            "expected 0 to 65535; convert it to 8 or 16 bits first"
        )
    # 65535 / 255 is 257; adding half of it rounds to the nearest.
    return PillowImage.fromarray(((values + 128) // 257).astype(np.uint8))


def _explain(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    # KeyError: this Pillow is too old for one of the formats, and none of the others fitted.
    if isinstance(error, UnidentifiedImageError | KeyError):
        known = ", ".join(dict.fromkeys(SUFFIX_FORMATS.values()))
        return f"not an image of a known format; expected one of {known}"
    if isinstance(error, Image.DecompressionBombError):
        return f"larger than {MAX_PIXELS} pixels, a decompression bomb; do not open this file"
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
    return f"cannot be read ({reason}); is the file complete?"
