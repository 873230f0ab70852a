"""Scores partitions in this process, on every core it may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from runtime.scoring.partition import Partition
from runtime.scoring.partition_file import encode
from runtime.scoring.score_chunk import Job
from runtime.scoring.scorer import Scorer

__all__ = ["score_locally"]


def score_locally(job: Job, partitions: Sequence[Partition]) -> Iterator[tuple[Partition, bytes]]:
    """Return the file of each partition, in order, as they are done.

    Raises:
        DeployError: as `Scorer`.
    """
    with contextlib.closing(Scorer(job, _count_cores())) as scorer:
        for partition, rows in scorer.score(partitions):
            yield partition, encode(partition, rows)


def _count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # Windows and macOS cannot tell
