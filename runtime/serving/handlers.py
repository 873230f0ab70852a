"""What a client is told of a request that went wrong, by exception."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runtime.errors import DeployError, ImageError, RequestError
from runtime.serving.respond import refuse

__all__ = ["CLIENT_LEFT", "HANDLERS"]

CLIENT_LEFT = 499
"""No status of HTTP: what proxies note when the client did not wait for its answer."""


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return refuse(error)


async def _refuse_image(request: Request, error: Exception) -> Response:
    return refuse(RequestError(400, str(error)))


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path[:80]}"
    return refuse(RequestError(error.status_code, f"{what}: {error.detail}"))


async def _fail(request: Request, error: Exception) -> Response:
    return refuse(RequestError(500, str(error)))


async def _fail_unexpectedly(request: Request, error: Exception) -> Response:
    return refuse(RequestError(500, f"unexpected: {type(error).__name__}; see the server's log"))


async def _say_nothing(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)  # nobody is left to read it


HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    RequestError: _refuse,
    ImageError: _refuse_image,
    DeployError: _fail,
    HTTPException: _refuse_route,
    ClientDisconnect: _say_nothing,
    Exception: _fail_unexpectedly,
}
"""As Starlette takes them."""
