"""Notices that a bundle was changed while it is served, and exchanges what is served on demand.

What is served stays what was loaded and proven, whatever becomes of the files: that a bundle
changed on the disk is told once, and by a metric. SIGHUP loads what lies there now. It takes over
only when it is whole and proven; until then, and if it never is, the one before goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from runtime.bundle import Bundle
from runtime.errors import DeployError
from runtime.manifest import MANIFEST_FILE
from runtime.serving.batcher import Batcher
from runtime.serving.metrics import Metrics
from runtime.serving.models import Models, Order, Source, Version, open_all
from runtime.serving.open_model import OpenModel
from runtime.terminal import Screen

__all__ = ["Keeper", "put_to_work"]

_LOOK_SECONDS = 2.0


def put_to_work(opened: Sequence[OpenModel], order: Order, metrics: Metrics) -> tuple[Version, ...]:
    """Return the opened versions with what answers for them in batches."""
    return tuple(_put_one_to_work(each, order, metrics) for each in opened)


def _put_one_to_work(opened: OpenModel, order: Order, metrics: Metrics) -> Version:
    labels = (opened.contract.model, opened.contract.version)

    def observe(images: int, seconds: float) -> None:
        metrics.observe_batch(*labels, images, seconds)

    batcher = Batcher(opened.run, order.batch, observe)
    metrics.admitted.labels(*labels).set_function(lambda: batcher.admitted)
    return Version(opened=opened, answerer=batcher)


class Keeper:
    """Keeps what is served in line with the disk, as far as it is asked to."""

    def __init__(
        self,
        models: Models,
        sources: Sequence[Source],
        order: Order,
        metrics: Metrics,
        screen: Screen,
    ) -> None:
        self._models = models
        self._sources = sources
        self._order = order
        self._metrics = metrics
        self._screen = screen
        self._asked = asyncio.Event()
        self._seen = {source.name: self._look(source) for source in sources}
        for source in sources:
            metrics.outdated.labels(source.name).set(0)

    def reload(self) -> None:
        """Have every bundle loaded anew, soon."""
        self._asked.set()

    async def work(self) -> None:
        """Look at the disk from time to time, and load when asked; until cancelled."""
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _LOOK_SECONDS)
            asked = self._asked.is_set()
            self._asked.clear()
            for source in self._sources:
                if asked:
                    await self._load(source)
                elif self._look(source) != self._seen[source.name]:
                    await self._tell(source)

    async def _load(self, source: Source) -> None:
        seen = self._look(source)
        try:
            opened = await asyncio.to_thread(open_all, source, self._order)
        except DeployError as error:
            self._screen.warn(f"{source.name}: not loaded, the one before is still served: {error}")
            return
        self._seen[source.name] = seen
        self._metrics.outdated.labels(source.name).set(0)
        await self._models.replace(source.name, put_to_work(opened, self._order, self._metrics))
        self._screen.note(f"{source.name}: loaded anew from '{source.folder}'")

    async def _tell(self, source: Source) -> None:
        self._seen[source.name] = self._look(source)
        served = self._models.find(source.name).opened.bundle
        reason = await asyncio.to_thread(_difference, served)
        self._metrics.outdated.labels(source.name).set(bool(reason))
        if reason:
            self._screen.warn(
                f"{source.name}: {reason}; what was loaded is still served; SIGHUP loads it anew"
            )

    def _look(self, source: Source) -> tuple[object, ...]:
        """Return what differs if a file that is served was written or exchanged."""
        found: list[object] = []
        for file in (MANIFEST_FILE, *self._files(source)):
            try:
                info = (source.folder / file).stat()
            except OSError:
                found.append(None)
            else:
                found.append((info.st_ino, info.st_size, info.st_mtime_ns))
        return tuple(found)

    def _files(self, source: Source) -> list[str]:
        manifest = self._models.find(source.name).opened.bundle.manifest
        files = [variant.file for variant in manifest.variants.values()]
        return files + [engine.file for engine in manifest.engines.values()]


def _difference(served: Bundle) -> str:
    """Return in what the bundle on the disk is not the one that is served; "" if it is."""
    try:
        manifest = Bundle.load(served.folder).manifest
        if manifest != served.manifest:
            return "another bundle was published in its folder"
        for variant in manifest.variants.values():
            if served.inspect(variant.file) != manifest.files[variant.file]:
                return f"'{served.folder / variant.file}' was altered"
    except DeployError as error:
        return str(error)
    return ""
