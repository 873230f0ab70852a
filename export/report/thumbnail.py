"""Makes a small picture of an image file that can stand inside a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from runtime.errors import ImageError
from runtime.open_image import open_image

__all__ = ["SIDE", "thumbnail"]

SIDE = 192
"""Longest side in pixels: twice what the page shows, for screens of twice the pixels."""
_QUALITY = 80


def thumbnail(path: Path) -> str:
    """Return the image as a data: URL of some kilobytes; "" if it cannot be read.

    It is decoded and encoded anew, so that nothing of the file but its pixels enters the page.
    """
    try:
        image = open_image(path)
    except ImageError:
        return ""
    image.thumbnail((SIDE, SIDE))
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
