"""Listens on a port, hangs up on who says nothing, and ends only when everyone was answered."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator, Mapping

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.errors import OptionError
from runtime.serving.options import Limits

__all__ = ["answer_until_stopped", "bind"]

_HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive, if requests may take as long."""
_IDLE_SECONDS = 60
"""How long a connection may be silent between two requests."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that has the port to itself but does not listen yet.

    Args:
        host: the address of an interface of this machine, or a name of it.
        port: 0 for any that is free.

    Raises:
        OptionError: if the port is in use, or must not or cannot be used.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"port: given {port}; expected 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OptionError(
            f"host: given '{host}'; expected an address of this machine ({error})"
        ) from None
    try:
        # Without it, a port is blocked for a minute after a server on it has ended.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        cure = "choose another --port, or 0 for any that is free"
        if error.errno == errno.EADDRINUSE:
            raise OptionError(f"port {port} of {host} is in use; {cure}") from None
        raise OptionError(f"cannot use port {port} of {host}: {error.strerror}; {cure}") from None
    return sock


async def answer_until_stopped(
    application: ASGIApp,
    sock: socket.socket,
    limits: Limits,
    on_listening: Callable[[], None],
    on_signal: Mapping[int, Callable[[], None]],
) -> None:
    """Answer requests until SIGTERM or SIGINT; whoever was accepted by then is answered first.

    Args:
        application: what answers.
        sock: bound to a port.
        limits: how long a client may take, which is as long as the end may take.
        on_listening: called when it can be asked.
        on_signal: what else is to be done at which signal.
    """
    head_seconds = min(_HEAD_SECONDS, limits.seconds)
    config = uvicorn.Config(
        application,
        http=type("_Protocol", (_PatientProtocol,), {"head_seconds": head_seconds}),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        backlog=512,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    server = _Server(config, on_listening)
    loop = asyncio.get_running_loop()
    handlers = {
        signal.SIGTERM: lambda: server.handle_exit(signal.SIGTERM, None),
        signal.SIGINT: lambda: server.handle_exit(signal.SIGINT, None),
        **on_signal,
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        await server.serve(sockets=[sock])
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal once more when all is answered: the process would end by it.
        yield


class _PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for the head of a request for a while, not for ever."""

    head_seconds: float
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._between_requests():
            if self._alarm is None:
                self._alarm = self.loop.call_later(self.head_seconds, self._hang_up)
        else:
            self._stop_watching()

    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _stop_watching(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _hang_up(self) -> None:
        self._alarm = None
        if self._between_requests() and not self.transport.is_closing():
            self.transport.abort()
