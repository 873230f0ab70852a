"""Models: what a server has to offer, by name and version, exchanged while it runs.

A model is a bundle, named after its folder or by `NAME=FOLDER`; its versions are the variants and
engines that are served, the first of them being the one a client gets that asks for none. The
protocol's versions are text, so `/v2/models/resnet50/versions/int8.cpu` says what it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import OptionError, RequestError
from runtime.serving.batcher import Answerer
from runtime.serving.open_model import Backend, OpenModel, open_model
from runtime.serving.options import BatchOptions, Limits

__all__ = ["Models", "Order", "Source", "Version", "open_all", "parse_sources"]

_PATIENCE_SECONDS = 0.01
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A bundle to serve, and under which name."""

    name: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to serve of every bundle, and how."""

    versions: tuple[str, ...] = ("fp32",)
    """Variants and engines; the first is the default."""
    backend: Backend = field(default_factory=Backend)
    batch: BatchOptions = field(default_factory=BatchOptions)
    limits: Limits = field(default_factory=Limits)


@dataclass(kw_only=True, eq=False)
class Version:
    """A version that is being served."""

    opened: OpenModel
    answerer: Answerer
    _users: int = 0

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Keep it open as long as the block runs, from when it was found."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    async def close(self) -> None:
        """Answer whoever found it, then give everything back."""
        while self._users:
            await asyncio.sleep(_PATIENCE_SECONDS)
        await self.answerer.close()
        self.opened.close()


@dataclass
class Models:
    """Versions by the name of their model; the first of each is its default."""

    by_name: Mapping[str, Sequence[Version]]

    def find(self, name: str, version: str = "") -> Version:
        """Return a version of a model, the default one if none is named.

        Raises:
            RequestError: with status 404, if there is none of that name.
        """
        versions = self.by_name.get(name)
        if versions is None:
            known = ", ".join(self.by_name)
            raise RequestError(404, f"no model '{name[:80]}'; expected one of {known}")
        for each in versions:
            if version in ("", each.opened.contract.version):
                return each
        known = ", ".join(each.opened.contract.version for each in versions)
        raise RequestError(404, f"'{name}' has no version '{version[:80]}'; it has: {known}")

    async def replace(self, name: str, versions: Sequence[Version]) -> None:
        """Serve these versions of a model from now on; those before answer what they accepted."""
        before = self.by_name.get(name, ())
        self.by_name = {**self.by_name, name: versions}
        for version in before:
            await version.close()

    async def close(self) -> None:
        """Answer what was accepted, then give everything back."""
        for versions in self.by_name.values():
            for version in versions:
                await version.close()


def parse_sources(words: Sequence[str]) -> tuple[Source, ...]:
    """Return what the words of a command line name: folders, or NAME=FOLDER.

    Raises:
        OptionError: if two have one name, or a name cannot be part of a URL.
    """
    sources = tuple(_parse_source(word) for word in words)
    names = [source.name for source in sources]
    for source in sources:
        if names.count(source.name) > 1:
            raise OptionError(
                f"two models are named '{source.name}'; tell them apart: NAME={source.folder}"
            )
        if not _NAME.fullmatch(source.name):
            raise OptionError(
                f"'{source.name}' cannot be part of a URL; name the model: NAME={source.folder}"
            )
    return sources


def _parse_source(word: str) -> Source:
    name, equals, folder = word.partition("=")
    if equals and not Path(word).exists():
        return Source(name=name, folder=Path(folder))
    return Source(name=Path(word).resolve().name, folder=Path(word))


def open_all(source: Source, order: Order) -> list[OpenModel]:
    """Return every version that is to be served of a bundle, proven; or none is left open.

    Raises:
        DeployError: as open_model.
    """
    bundle = Bundle.load(source.folder)
    opened: list[OpenModel] = []
    try:
        for version in order.versions:
            opened.append(
                open_model(bundle, source.name, version, order.backend, order.batch, order.limits)
            )
    except BaseException:
        for model in opened:
            model.close()
        raise
    return opened
