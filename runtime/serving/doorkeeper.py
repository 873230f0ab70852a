"""Doorkeeper: stands before the application and lets in what is allowed, in size, time and number.

    no or a wrong token                          401, the body is not read
    a Content-Length beyond the limit            413, the body is not read
    a body that grows beyond it                  413
    bodies in memory, of everyone together       503 beyond eight of the largest
    a body, or an answer, that takes too long    408, or the connection is cut

Who is refused while still sending is told at once, and then listened to for a moment: a connection
that is closed with something unread in it takes the answer with it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import RequestError
from runtime.serving.metrics import Metrics
from runtime.serving.options import Limits
from runtime.serving.respond import refuse

__all__ = ["Doorkeeper"]

OPEN_PATHS = ("/", "/v2/health/live", "/v2/health/ready")
"""What needs no token: the empty page, and what a load balancer asks."""

_LINGER_SECONDS = 5.0

_BODIES = 8
"""As many of the largest bodies as fit into memory together."""


@dataclass
class Doorkeeper:
    """An ASGI application that passes on what is within the limits."""

    application: ASGIApp
    limits: Limits
    metrics: Metrics
    token: str = field(default="", repr=False)
    _held: int = 0
    """Bytes of bodies in memory."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        passage = _Passage(self, Headers(scope=scope), receive, send)
        try:
            self._check(scope)
            await self.application(scope, passage.receive, passage.send)
        except ClientDisconnect:
            pass  # nobody is left to be told
        except RequestError as error:
            await refuse(error)(scope, receive, passage.send)
        finally:
            self._held -= passage.received

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self.token and scope["path"] not in OPEN_PATHS:
            given = headers.get("authorization", "")
            if not hmac.compare_digest(_digest(given), _digest(f"Bearer {self.token}")):
                raise RequestError(401, "expected the header 'Authorization: Bearer TOKEN'")
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self.limits.body_bytes:
            raise self.too_large()

    def hold(self, size: int) -> None:
        """Count bytes that came into memory.

        Raises:
            RequestError: if all bodies together are more than may be held.
        """
        self._held += size
        if self._held > _BODIES * self.limits.body_bytes:
            raise RequestError(503, "too many bodies at once; ask again later", retry_after_s=1)

    def too_large(self) -> RequestError:
        """Return the refusal of a body beyond the limit."""
        return RequestError(
            413, f"the body is too large; expected at most {self.limits.body_mib} MiB"
        )


class _Passage:
    """One request on its way past the doorkeeper."""

    def __init__(
        self, doorkeeper: Doorkeeper, headers: Headers, receive: Receive, send: Send
    ) -> None:
        self.received = 0
        self._doorkeeper = doorkeeper
        self._receive = receive
        self._send = send
        self._deadline = anyio.current_time() + doorkeeper.limits.seconds
        bodiless = "transfer-encoding" not in headers
        self._complete = bodiless and headers.get("content-length", "0") == "0"
        # It sends nothing before it is told to go on, which it is by the first `receive`.
        self._waits = headers.get("expect", "").lower() == "100-continue"
        self._too_slow = False

    async def receive(self) -> Message:
        if self._complete:  # nothing more will come but that the client leaves
            return await self._receive()
        self._waits = False
        try:
            with anyio.fail_after(self._deadline - anyio.current_time()):
                message = await self._receive()
        except TimeoutError:
            self._too_slow = True
            seconds = self._doorkeeper.limits.seconds
            raise RequestError(408, f"the body did not arrive within {seconds:g} s") from None
        self._complete = not message.get("more_body", False)
        size = len(message.get("body", b""))
        self.received += size
        self._doorkeeper.hold(size)
        if self.received > self._doorkeeper.limits.body_bytes:
            raise self._doorkeeper.too_large()
        return message

    async def send(self, message: Message) -> None:
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if message["type"] == "http.response.start":
            self._doorkeeper.metrics.responses.labels(str(message["status"])).inc()
            if not self._complete:
                headers = [*message.get("headers", []), (b"connection", b"close")]
                message = {**message, "headers": headers}
        elif last and not self._complete:
            await self._send_in_time({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body"}
        await self._send_in_time(message)

    async def _send_in_time(self, message: Message) -> None:
        try:
            with anyio.fail_after(self._doorkeeper.limits.seconds):
                await self._send(message)
        except TimeoutError:
            raise ClientDisconnect from None  # it does not read; what it left unread is dropped

    async def _linger(self) -> None:
        """Drop what still comes of the body, for a moment."""
        if self._waits or self._too_slow:
            return
        with anyio.move_on_after(_LINGER_SECONDS):
            while (await self._receive()).get("more_body", False):
                pass


def _digest(text: str) -> bytes:
    # Of equal length whatever is given, so that comparing takes the same time for any of it.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
