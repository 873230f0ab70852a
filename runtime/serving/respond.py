"""Answers in JSON, and refusals in the error object of the Open Inference Protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from runtime.errors import RequestError
from runtime.schema import Json

__all__ = ["as_json", "refuse"]


def as_json(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response of a value in JSON."""
    # ASCII: what came from a client can hold text that UTF-8 cannot.
    body = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Response(body, status, headers, media_type="application/json")


def refuse(error: RequestError) -> Response:
    """Return the response that tells a client why it gets no answer."""
    headers = {}
    if error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return as_json({"error": str(error)}, error.status, headers)
