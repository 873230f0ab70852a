"""Cuts the rows of parquet files into partitions: the unit of work, of writing and of resuming.

The cut depends on nothing but the files' lengths and the size, so a resumed run makes the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Partition", "TableFile", "choose_size", "cut"]

_FEWEST, _MOST = 64, 1024
"""Images in a partition. A kill costs at most the partitions under way; many small ones cost files,
and each has an end where cores wait for the last batch."""
_PARTITIONS = 32
"""So many at least, where there are images enough: then all cores have work nearly to the end."""
_LARGEST_RUN = 20_000
"""So many at most: from there on they grow, not their number."""


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A parquet file of inputs."""

    path: str
    """Absolute."""
    rows: int


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Consecutive rows of one file."""

    number: int
    """From 0."""
    file: str
    first: int
    """The first of its rows in the file."""
    rows: int
    """At least 1."""
    start: int
    """The position of its first row among all inputs."""


def choose_size(images: int) -> int:
    """Return how many images a partition should have."""
    balanced = min(_MOST, max(_FEWEST, -(-images // _PARTITIONS)))
    return max(balanced, -(-images // _LARGEST_RUN))


def cut(files: Sequence[TableFile], size: int) -> list[Partition]:
    """Return partitions of at most `size` rows that hold each row of the files once, in order."""
    partitions: list[Partition] = []
    start = 0
    for file in files:
        for first in range(0, file.rows, size):
            rows = min(size, file.rows - first)
            partitions.append(
                Partition(
                    number=len(partitions), file=file.path, first=first, rows=rows, start=start
                )
            )
            start += rows
    return partitions
