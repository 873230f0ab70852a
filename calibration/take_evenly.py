"""Takes some of many, spread evenly: the same ones each time, and each part by its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["take_evenly"]

_Thing = TypeVar("_Thing")


def take_evenly(things: Sequence[_Thing], most: int) -> list[_Thing]:
    """Return so many of the things at most, spread evenly over them, in their order."""
    count = min(most, len(things))
    return [things[index * len(things) // count] for index in range(count)]
