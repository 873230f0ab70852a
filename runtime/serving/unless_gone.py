"""Waits for an answer as long as there is somebody to give it to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

__all__ = ["unless_gone"]

T = TypeVar("T")


async def unless_gone(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """Return what is awaited; it is cancelled if the client leaves before.

    Raises:
        ClientDisconnect: if the client left.
    """
    answer = asyncio.ensure_future(answering)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        leaving.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
