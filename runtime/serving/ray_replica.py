"""A replica: the same application in one of Ray Serve's processes, its batches made by Ray.

Ray counts requests and starts, feeds and replaces replicas. What a replica serves is exchanged
while it runs, one version for another, when it is told of another generation: no request fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from ray import serve
from starlette.types import ASGIApp

from runtime.errors import DeployError
from runtime.runner import Images
from runtime.serving.application import build_application
from runtime.serving.batcher import Outputs, Run, run_together
from runtime.serving.metrics import Metrics
from runtime.serving.models import Models, Order, Source, Version, open_all
from runtime.serving.open_model import OpenModel
from runtime.serving.options import BatchOptions

__all__ = ["RayBatcher", "Replica"]


class RayBatcher:
    """Answers images in batches that Ray gathers; see runtime.serving.batcher.Answerer."""

    def __init__(self, run: Run, options: BatchOptions) -> None:
        self._run = run
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._together = serve.batch(
            max_batch_size=options.largest,
            batch_wait_timeout_s=options.latency_budget_ms / 1000,
            batch_size_fn=_count_images,
        )(self._answer_all)

    def admit(self, images: int) -> AbstractContextManager[None]:
        """Keep room: Ray does, for whole requests."""
        return contextlib.nullcontext()

    async def answer(self, images: Images) -> Outputs:
        """Return the outputs of these images."""
        outputs: Outputs = await self._together(images)
        return outputs

    async def close(self) -> None:
        """Stop; whoever found it was answered by then."""
        self._thread.shutdown()

    async def _answer_all(self, parts: list[Images]) -> list[Outputs]:
        loop = asyncio.get_running_loop()
        answers: list[Outputs] = [[] for _ in parts]
        for shape in dict.fromkeys(part.shape[1:] for part in parts):
            places = [place for place, part in enumerate(parts) if part.shape[1:] == shape]
            alike = [parts[place] for place in places]
            found = await loop.run_in_executor(self._thread, run_together, self._run, alike)
            for place, outputs in zip(places, found, strict=True):
                answers[place] = outputs
        return answers


def _count_images(parts: list[Images]) -> int:
    return sum(map(len, parts))


class Replica:
    """What Ray Serve starts in a process of its own: an application of the bundles."""

    def __init__(self, sources: Sequence[Source], order: Order, token: str) -> None:
        self._sources = sources
        self._order = order
        self._token = token
        self._metrics = Metrics()
        self._models = Models({source.name: self._open(source) for source in sources})
        self._generation: str | None = None

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Return the application; Ray's name for it."""
        return build_application(self._models, self._order.limits, self._metrics, self._token)

    async def reconfigure(self, generation: str) -> None:
        """Serve what lies in the bundles now, if this is another generation of them."""
        before, self._generation = self._generation, generation
        if before in (None, generation):
            return
        for source in self._sources:
            try:
                versions = await asyncio.to_thread(self._open, source)
            except DeployError as error:
                # Whoever asked has proven it elsewhere; to end the replica would help nobody.
                logging.getLogger("ray.serve").error("%s is still served: %s", source.name, error)
                continue
            await self._models.replace(source.name, versions)

    def _open(self, source: Source) -> tuple[Version, ...]:
        return tuple(map(self._put_to_work, open_all(source, self._order)))

    def _put_to_work(self, opened: OpenModel) -> Version:
        return Version(opened=opened, answerer=RayBatcher(opened.run, self._order.batch))
