"""Real images that ship with the package; their origin is told in NOTICE."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import OptionError
from runtime.open_image import SUFFIX_FORMATS

__all__ = ["SAMPLE_KINDS", "sample_images"]

SAMPLE_KINDS = ("digits", "photographs")
"""Ten 8x8 grey scans of handwritten digits, one a class; two colour photographs."""


def sample_images(kind: str) -> list[Path]:
    """Return the image files of one kind, by name.

    Raises:
        OptionError: if there is no such kind.
    """
    if kind not in SAMPLE_KINDS:
        raise OptionError(f"sample images: given {kind!r}; expected {' or '.join(SAMPLE_KINDS)}")
    files = (Path(__file__).parent / kind).iterdir()
    return sorted(path for path in files if path.suffix in SUFFIX_FORMATS)
