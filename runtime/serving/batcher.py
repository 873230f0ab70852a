"""Batcher: joins what several clients ask for at the same time into one run of the model.

    answer(images) ─┐                                                       ┌─→ its own rows
    answer(images) ─┼─→ queue ─→ images of one shape ─→ run, in a thread ─→ ┼─→ its own rows
    answer(images) ─┘                                                       └─→ its own rows

While one batch runs the next one gathers, so that under load batches are full without waiting.
The oldest request is always in the next batch. What is accepted is answered, unless whoever asked
has left: then it is dropped before it costs anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, RequestError
from runtime.runner import Images
from runtime.serving.options import BatchOptions

__all__ = ["Answerer", "Batcher", "Outputs", "Run", "run_together"]

Outputs: TypeAlias = "list[NDArray[Any]]"
"""Every output of the model, in its order; one row an image."""

Run: TypeAlias = Callable[[Images], Outputs]
"""Runs a batch; blocks until it is done."""


class Answerer(Protocol):
    """Whatever answers images with outputs, in batches of its own making."""

    def admit(self, images: int) -> AbstractContextManager[None]:
        """Keep room for that many images, from before they are decoded until they are answered.

        Raises:
            RequestError: with status 503, if there is none.
        """

    async def answer(self, images: Images) -> Outputs:
        """Return the outputs of these images, in order.

        Raises:
            BackendError: if the model cannot run on them.
        """

    async def close(self) -> None:
        """Answer what is accepted, then stop."""


@dataclass(frozen=True, eq=False)
class _Pending:
    images: Images
    arrival: float
    outputs: asyncio.Future[Outputs]


class Batcher:
    """Answers images in batches; belongs to one event loop."""

    def __init__(
        self,
        run: Run,
        options: BatchOptions,
        observe: Callable[[int, float], None] = lambda images, seconds: None,
    ) -> None:
        self._run = run
        self._options = options
        self._observe = observe  # told of each batch: images, seconds
        self._queue: list[_Pending] = []
        self._admitted = 0
        self._arrived = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._last_seconds = 0.0

    @property
    def admitted(self) -> int:
        """Images that are accepted and not yet answered."""
        return self._admitted

    @contextlib.contextmanager
    def admit(self, images: int) -> Iterator[None]:
        """Keep room for that many images; see Answerer.

        Raises:
            RequestError: if there is none.
        """
        if self._admitted + images > self._options.queue:
            batches = math.ceil(self._admitted / self._options.largest)
            raise RequestError(
                503,
                f"{self._admitted} images wait already, {images} more would be beyond the limit of "
                f"{self._options.queue}; ask again later",
                retry_after_s=max(1, math.ceil(batches * self._last_seconds)),
            )
        self._admitted += images
        try:
            yield
        finally:
            self._admitted -= images

    async def answer(self, images: Images) -> Outputs:
        """Return the outputs of these images; see Answerer."""
        loop = asyncio.get_running_loop()
        pending = _Pending(images, loop.time(), loop.create_future())
        self._queue.append(pending)
        self._arrived.set()
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._empty_queue())
        return await pending.outputs

    async def close(self) -> None:
        """Answer what is in the queue, then stop."""
        if self._work is not None:
            await self._work
        self._thread.shutdown()

    async def _empty_queue(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := await self._gather():
            start = loop.time()
            parts = [pending.images for pending in batch]
            try:
                answers = await loop.run_in_executor(self._thread, run_together, self._run, parts)
            except Exception as error:
                # Told to everyone who waits, whatever it is: else they would wait for ever.
                for pending in batch:
                    if not pending.outputs.done():
                        pending.outputs.set_exception(error)
                continue
            self._last_seconds = loop.time() - start
            self._observe(sum(map(len, parts)), self._last_seconds)
            for pending, outputs in zip(batch, answers, strict=True):
                if not pending.outputs.done():
                    pending.outputs.set_result(outputs)

    async def _gather(self) -> list[_Pending]:
        """Return the next batch, as late as the latency budget allows; nothing if none is left."""
        loop = asyncio.get_running_loop()
        budget = self._options.latency_budget_ms / 1000
        while True:
            self._queue = [pending for pending in self._queue if not pending.outputs.done()]
            batch = self._fill()
            if not batch:
                return []
            patience = batch[0].arrival + budget - self._last_seconds - loop.time()
            full = sum(len(pending.images) for pending in batch) == self._options.largest
            if full or not budget or patience <= 0:
                self._queue = [pending for pending in self._queue if pending not in batch]
                return batch
            self._arrived.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), patience)

    def _fill(self) -> list[_Pending]:
        """Return the oldest request, and those that fit into one batch with it."""
        batch: list[_Pending] = []
        room = self._options.largest
        for pending in self._queue:
            if not batch or (
                len(pending.images) <= room
                and pending.images.shape[1:] == batch[0].images.shape[1:]
            ):
                batch.append(pending)
                room -= len(pending.images)
        return batch


def run_together(run: Run, parts: list[Images]) -> list[Outputs]:
    """Return the outputs of each part, all of them run as one batch.

    Raises:
        BackendError: if the model cannot run on them, or gives other than a row an image.
    """
    images = parts[0] if len(parts) == 1 else np.concatenate(parts)
    outputs = run(images)
    if any(len(output) != len(images) for output in outputs):
        rows = ", ".join(str(len(output)) for output in outputs)
        raise BackendError(f"the model gave {rows} rows for {len(images)} images")
    ends = np.cumsum([len(part) for part in parts]).tolist()
    return [
        [output[end - len(part) : end] for output in outputs]
        for part, end in zip(parts, ends, strict=True)
    ]
