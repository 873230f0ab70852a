"""Reads whole numbers that somebody else wrote."""

from __future__ import annotations

__all__ = ["whole_number"]

_MOST_DIGITS = 18
"""What 64 bits hold, with a sign; int() refuses thousands of digits with an error of its own."""


def whole_number(text: str) -> int | None:
    """Return what ASCII digits say, and None where it is anything else, or more than 18 of them."""
    digits = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if digits else None
