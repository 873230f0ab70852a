"""Serves bundles in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from runtime.guard import instant_interrupt
from runtime.serving.application import build_application
from runtime.serving.keep_current import Keeper, put_to_work
from runtime.serving.listen import answer_until_stopped, bind
from runtime.serving.metrics import Metrics
from runtime.serving.models import Models, Order, Source, open_all
from runtime.serving.open_model import OpenModel
from runtime.serving.place import Place, warn_of_strangers
from runtime.terminal import Screen

__all__ = ["open_aloud", "serve"]


def serve(sources: Sequence[Source], order: Order, place: Place, screen: Screen) -> None:
    """Serve bundles until SIGTERM or SIGINT, and answer whoever was accepted by then.

    Args:
        sources: the bundles and their names.
        order: what to serve of them.
        place: where.
        screen: is told what is served, and the URL as the result.

    Raises:
        OptionError: if the port cannot be had.
        DeployError: if a bundle cannot be opened, or does not give PyTorch's answers.
    """
    with closing(bind(place.host, place.port)) as sock:
        with instant_interrupt():
            opened = {source.name: open_aloud(source, order, screen) for source in sources}
        warn_of_strangers(place, screen)
        asyncio.run(_serve(opened, sources, order, place, sock, screen))
    screen.note("stopped; all that was accepted is answered")


def open_aloud(source: Source, order: Order, screen: Screen) -> list[OpenModel]:
    """Return every version that is to be served of a bundle, proven; say where each of them runs.

    Raises:
        DeployError: as open_all.
    """
    with screen.step("open") as step:
        models = open_all(source, order)
        versions = ", ".join(f"{m.contract.version} in {m.runner}" for m in models)
        step.detail = f"{source.name}: {versions}; golden inputs answered as PyTorch did"
    for model in models:
        for note in model.notes:
            screen.warn(f"{source.name}: {note}")
    return models


async def _serve(
    opened: dict[str, list[OpenModel]],
    sources: Sequence[Source],
    order: Order,
    place: Place,
    sock: socket.socket,
    screen: Screen,
) -> None:
    metrics = Metrics()
    versions = {name: put_to_work(models, order, metrics) for name, models in opened.items()}
    models = Models(versions)
    keeper = Keeper(models, sources, order, metrics, screen)
    application = build_application(models, order.limits, metrics, place.token)
    keeping = asyncio.create_task(keeper.work())
    try:
        await answer_until_stopped(
            application,
            sock,
            order.limits,
            lambda: _tell(opened, sock, screen),
            _reload_signal(keeper),
        )
    finally:
        keeping.cancel()


def _reload_signal(keeper: Keeper) -> dict[int, Callable[[], None]]:
    if not hasattr(signal, "SIGHUP"):  # Windows
        return {}
    return {signal.SIGHUP: keeper.reload}


def _tell(opened: Mapping[str, Sequence[OpenModel]], sock: socket.socket, screen: Screen) -> None:
    host, port = sock.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    versions = {name: [m.contract.version for m in models] for name, models in opened.items()}
    screen.document({"url": url, "models": versions})
    screen.result(url)
    sys.stdout.flush()  # whoever started this waits for that line
