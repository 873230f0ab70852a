"""Serves bundles on Ray: on the cores of this machine, or on a cluster.

Ray starts as many replicas as the load needs, between the least and the most, and replaces one
that dies. What it had accepted dies with it, and those clients get an error: they ask again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import math
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from runtime.bundle import Bundle
from runtime.errors import BackendError, DeployError, OptionError
from runtime.ray_driver import RayDriver
from runtime.ray_session import ray_session
from runtime.serving.listen import bind
from runtime.serving.models import Order, Source
from runtime.serving.place import Place, warn_of_strangers
from runtime.serving.serve import open_aloud
from runtime.terminal import Screen

__all__ = ["Replicas", "parse_replicas", "serve_on_ray"]

APPLICATION = "resnet-deploy"


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """How many replicas Ray may start, and where.

    Raises:
        OptionError: if there cannot be as many.
    """

    least: int = 1
    most: int = 1
    cores: float = 1.0
    """Of each replica."""
    address: str = ""
    """Of a running cluster; "" for one on this machine that ends with the server."""

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most or not 0 < self.cores < math.inf:
            raise OptionError(
                f"replicas: given {self.least} to {self.most}, {self.cores:g} cores each; expected "
                "at least 1, no fewer at most than at least, and more than no core"
            )


def serve_on_ray(
    sources: Sequence[Source], order: Order, place: Place, replicas: Replicas, screen: Screen
) -> None:
    """Serve bundles on Ray until SIGTERM or SIGINT; SIGHUP rolls out what lies there then.

    Args:
        sources: the bundles and their names; on a cluster, at the same paths everywhere.
        order: what to serve of them; the queue is that of each replica, in requests.
        place: where.
        replicas: how many, and where.
        screen: is told what is served, and the URL as the result.

    Raises:
        OptionError: if the port cannot be had.
        BackendError: if Ray fails.
        DeployError: if a bundle cannot be opened, or does not give PyTorch's answers.
    """
    with bind(place.host, place.port) as sock:
        port = sock.getsockname()[1]  # Ray takes it as soon as it is free again
    _prove(sources, order, screen)
    warn_of_strangers(place, screen)
    place = dataclasses.replace(place, port=port)
    with RayDriver(partial(_drive, sources, order, place, replicas)) as driver:
        with screen.step("deploy"):
            driver.ask()
        url = f"http://{place.host}:{port}"
        versions = {source.name: list(order.versions) for source in sources}
        with _signals() as wait:
            screen.document({"url": url, "models": versions})
            screen.result(url)
            sys.stdout.flush()  # whoever started this waits for that line
            while (number := wait()) in (signal.SIGHUP, signal.SIGCHLD):
                driver.check()
                if number == signal.SIGHUP:
                    _roll_out(sources, order, driver, screen)
    screen.note("stopped")


def parse_replicas(text: str, cores: float, address: str) -> Replicas:
    """Return the replicas that a command line states as LEAST:MOST, or as one number.

    Raises:
        OptionError: if it states none.
    """
    least, _, most = text.partition(":")
    numbers = (least, most or least)
    if not all(n.isascii() and n.isdigit() and len(n) <= 9 for n in numbers):
        raise OptionError(f"replicas: given '{text}'; expected numbers, such as 1:4")
    return Replicas(least=int(least), most=int(most or least), cores=cores, address=address)


def _drive(
    sources: Sequence[Source], order: Order, place: Place, replicas: Replicas
) -> Generator[None]:
    """Deploy the bundles as they are then, each time it is asked."""
    with ray_session(replicas.address):
        from ray import serve

        logging.getLogger("ray.serve").setLevel(logging.ERROR)  # it tells of itself
        try:
            serve.start(http_options={"host": place.host, "port": place.port})
            while True:
                _deploy(sources, order, place.token, replicas)
                yield
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]


def _deploy(sources: Sequence[Source], order: Order, token: str, replicas: Replicas) -> None:
    """Have Ray serve the bundles, and return when it does; a change replaces what was served.

    Raises:
        BackendError: if Ray Serve cannot deploy them.
    """
    from ray import serve

    from runtime.serving.ray_replica import Replica

    deployment: Any = serve.deployment(
        serve.ingress()(Replica),
        name="Replica",
        user_config=_generation(sources),
        max_ongoing_requests=order.batch.queue,
        max_queued_requests=order.batch.queue * replicas.most,
        ray_actor_options={"num_cpus": replicas.cores},
        autoscaling_config={
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": 2 * order.batch.largest,
        },
    )
    application = deployment.bind(tuple(sources), order, token)
    try:
        serve.run(application, name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BackendError(f"Ray Serve cannot deploy the bundles ({reason})") from None


@contextlib.contextmanager
def _signals() -> Iterator[Callable[[], int]]:
    """Yield what waits for the next of SIGTERM, SIGINT, SIGHUP and SIGCHLD and returns it."""
    ours = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    reader, writer = socket.socketpair()
    writer.settimeout(0)

    def wait() -> int:
        return next(number for number in iter(lambda: reader.recv(1)[0], None) if number in ours)

    with reader, writer:
        before = {number: signal.signal(number, lambda *_: None) for number in ours}
        descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield wait
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, handler in before.items():
                signal.signal(number, handler)


def _roll_out(
    sources: Sequence[Source], order: Order, driver: RayDriver[None], screen: Screen
) -> None:
    try:
        _prove(sources, order, screen)
    except DeployError as error:
        screen.warn(f"not rolled out, what was served is still: {error}")
        return
    with screen.step("roll out"):
        driver.ask()


def _prove(sources: Sequence[Source], order: Order, screen: Screen) -> None:
    """Open everything once here: a replica that cannot start is started again for ever."""
    for source in sources:
        for model in open_aloud(source, order, screen):
            model.close()


def _generation(sources: Sequence[Source]) -> str:
    """Return what differs when a bundle was published anew."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(Bundle.load(source.folder).manifest.to_json())
    return digest.hexdigest()
