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
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from runtime.bundle import Bundle
from runtime.classify import classify
from runtime.errors import ImageError
from runtime.feed import check_classifier, fixed_batch
from runtime.open_runner import open_runner
from runtime.preprocess import model_input
from runtime.scoring.inputs import Inputs
from runtime.scoring.partition import Partition
from runtime.scoring.read_inputs import Input, read_inputs

if TYPE_CHECKING:
    from runtime.classify import RankedClass
    from runtime.runner import Images, Runner

__all__ = ["Job", "Row", "Scorer"]

_AHEAD = 2
"""Batches that wait in line for each thread."""
_TRIAL = 3
"""Batches for each thread by which one thread is compared with several."""
_NOT_FINITE = "the logits hold NaN or infinity; expected finite numbers"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, wherever it is done."""

    bundle: Bundle
    variant: str
    inputs: Inputs
    root: str
    """The folder that relative paths start from."""
    top: int
    """How many classes of each image."""
    batch: int
    """How many images the model is given at once; a model of fixed batch takes its own."""

    @property
    def chunk(self) -> int:
        """How many images are run at once."""
        return fixed_batch(self.bundle.variant(self.variant)) or self.batch


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one image."""

    index: int
    path: str
    labels: list[str] | None = None
    """The most probable first; None if there is an error."""
    probabilities: list[float] | None = None
    error: str | None = None


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
        self._work = _ChunkScorer(job=job, runner=open_runner(job.bundle, job.variant, threads=1))
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

    def _run(self, chunks: Iterator[_Chunk]) -> Iterator[_Scored]:
        if not self._under_way:
            yield from self._try(chunks)
        yield from _in_order(self._pool, self._work, chunks, self._under_way)

    def _try(self, chunks: Iterator[_Chunk]) -> list[_Scored]:
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


_Chunk = tuple[Partition, list[Input]]
_Scored = tuple[Partition, list[Row]]


def _read_chunks(job: Job, partitions: Iterable[Partition]) -> Iterator[_Chunk]:
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


@dataclass(frozen=True, kw_only=True)
class _ChunkScorer:
    """Scores a chunk; several threads call it at once."""

    job: Job
    runner: Runner

    def __call__(self, chunk: _Chunk) -> _Scored:
        partition, inputs = chunk
        images, errors = self._load(inputs)
        answers = iter(self._classify(images))
        return partition, [
            _row(each, errors[each.index] if each.index in errors else next(answers))
            for each in inputs
        ]

    def _load(self, inputs: list[Input]) -> tuple[list[Images], dict[int, str]]:
        """Return the images that could be read, and why the others could not, by index."""
        manifest = self.job.bundle.manifest
        images, errors = [], {}
        for each in inputs:
            try:
                images.append(model_input(each.open(), manifest.image, manifest.pixels))
            except ImageError as error:
                errors[each.index] = str(error)
        return images, errors

    def _classify(self, images: list[Images]) -> list[tuple[RankedClass, ...] | str]:
        """Return the classes of each image, or why there are none."""
        if not images:
            return []
        missing = fixed_batch(self.job.bundle.variant(self.job.variant)) - len(images)
        logits = self.runner.logits(np.stack(images + images[-1:] * missing))[: len(images)]
        finite = np.all(np.isfinite(logits), axis=1)
        ranked = iter(classify(logits[finite], self.job.bundle.manifest.labels, self.job.top))
        return [next(ranked) if sound else _NOT_FINITE for sound in finite.tolist()]


def _row(image: Input, answer: tuple[RankedClass, ...] | str) -> Row:
    path = _unicode(image.name)
    if isinstance(answer, str):
        return Row(index=image.index, path=path, error=_unicode(answer))
    return Row(
        index=image.index,
        path=path,
        labels=[ranked.label for ranked in answer],
        probabilities=[ranked.probability for ranked in answer],
    )


def _unicode(text: str) -> str:
    """Return the text as parquet takes it: of a file's name, bytes that are no UTF-8 escaped."""
    return text.encode(errors="backslashreplace").decode()
