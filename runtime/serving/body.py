"""Reads the body of a request, compressed or not, if there is room for what it asks."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from runtime.errors import RequestError
from runtime.serving.batcher import Answerer
from runtime.serving.options import Limits

__all__ = ["read_body"]

_WINDOWS = {"gzip": 31, "deflate": 15}
"""zlib's `wbits` of each coding; https://zlib.net/manual.html#Advanced."""


async def read_body(request: Request, answerer: Answerer, limits: Limits) -> bytes:
    """Return the body of a request; it is not read if nothing could be answered now.

    Raises:
        RequestError: if the queue is full, or the body is too large or of an unknown coding.
    """
    with answerer.admit(1):
        pass  # not held while the body comes: slow clients would keep the room of others
    body = await request.body()
    coding = request.headers.get("content-encoding", "identity")
    return body if coding == "identity" else _inflate(body, coding, limits)


def _inflate(body: bytes, coding: str, limits: Limits) -> bytes:
    if coding not in _WINDOWS:
        known = ", ".join(_WINDOWS)
        raise RequestError(415, f"Content-Encoding: given '{coding[:40]}'; expected {known}")
    inflater = zlib.decompressobj(_WINDOWS[coding])
    try:
        data = inflater.decompress(body, limits.body_bytes)
    except zlib.error as error:
        raise RequestError(400, f"the body is no {coding}: {error}") from None
    if inflater.unconsumed_tail:
        raise RequestError(413, f"the body inflates to more than {limits.body_mib} MiB")
    if not inflater.eof:
        raise RequestError(400, f"the body is no whole {coding}: it was cut short")
    return data
