"""Scores partitions: several threads decode images and run one model, results come in order.

Each thread decodes a batch and runs it, the model on that one thread: with as many batches under
way as there are cores, nothing waits for the slowest part of a single run. The next partition is
begun while the last batches of the one before it are still under way. Small images and models
spend most of their time in the interpreter, which is one thread's at a time: several threads are
then slower than one. So the first batches are a trial, and what was faster is kept.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from runtime.feed import check_classifier
from runtime.open_runner import open_runner
from runtime.scoring.partition import Partition
from runtime.scoring.read_inputs import read_inputs
from runtime.scoring.score_chunk import Chunk, ChunkScorer, Job, Row, Scored

__all__ = ["Scorer"]

_AHEAD = 2
"""Batches that wait in line for each thread."""
_TRIAL = 3
"""Batches for each thread by which one thread is compared with several."""

T = TypeVar("T")
R = TypeVar("R")


class Scorer:
    """A model that is ready to score partitions; close it after use.

    Args:
        job: what is to be done.
        threads: how many decode images and run the model.

    Raises:
        DeployError: if the model is no classifier of images, or cannot be opened.
    """

    def __init__(self, job: Job, threads: int) -> None:
        check_classifier(job.bundle.variant(job.variant), job.bundle.manifest)
        self._job = job
        self._threads = threads
        self._work = ChunkScorer(job=job, runner=open_runner(job.bundle, job.variant, threads=1))
        self._pool = ThreadPoolExecutor(threads)
        self._under_way = 0
        """Chunks; 0 until it is known how many are best."""

    def score(self, partitions: Iterable[Partition]) -> Iterator[tuple[Partition, list[Row]]]:
        """Return the rows of each partition, in order, as they are done.

        Raises:
            DeployError: if the model cannot be run, or a file of inputs cannot be read. An image
                that cannot be read is a row with its error.
        """
        chunks = _read_chunks(self._job, partitions)
        for partition, parts in itertools.groupby(self._run(chunks), key=lambda part: part[0]):
            yield partition, [row for _, rows in parts for row in rows]

    def _run(self, chunks: Iterator[Chunk]) -> Iterator[Scored]:
        if not self._under_way:
            yield from self._try(chunks)
        yield from _in_order(self._pool, self._work, chunks, self._under_way)

    def _try(self, chunks: Iterator[Chunk]) -> list[Scored]:
        """Score the first chunks one by one and then several at once; keep to the faster way."""
        self._under_way = several = self._threads * (1 + _AHEAD)
        scored = list(_in_order(self._pool, self._work, itertools.islice(chunks, 1), 1))  # warms up
        seconds = {}
        for under_way, count in ((1, _TRIAL), (several, _TRIAL * self._threads)):
            start = time.perf_counter()
            pieces = itertools.islice(chunks, count)
            part = list(_in_order(self._pool, self._work, pieces, under_way))
            scored += part
            if len(part) < count:
                return scored  # too few for a verdict
            images = sum(len(rows) for _, rows in part)
            seconds[under_way] = (time.perf_counter() - start) / images
        self._under_way = min(seconds, key=lambda way: seconds[way])
        return scored

    def close(self) -> None:
        """Give up what is under way."""
        # Not waited for: Ctrl-C can leave the pool's own locks held, and then it never ends.
        self._pool.shutdown(wait=False, cancel_futures=True)


def _read_chunks(job: Job, partitions: Iterable[Partition]) -> Iterator[Chunk]:
    for partition in partitions:
        rows = read_inputs(partition, job.inputs, job.root)
        while chunk := list(itertools.islice(rows, job.chunk)):
            yield partition, chunk


def _in_order(
    pool: Executor, work: Callable[[T], R], pieces: Iterable[T], ahead: int
) -> Iterator[R]:
    """Return the results of the work on each piece, in order; at most `ahead` are under way."""
    under_way: deque[Future[R]] = deque()
    for piece in pieces:
        under_way.append(pool.submit(work, piece))
        if len(under_way) >= ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()
