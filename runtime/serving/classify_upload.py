"""Classifies an image that a person or a program uploads: the whole way from file to classes."""

from __future__ import annotations

import dataclasses
import os
from functools import lru_cache

import anyio
import anyio.to_thread
import numpy as np
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from runtime.classify import classify
from runtime.errors import OptionError, RequestError
from runtime.feed import check_classifier
from runtime.manifest import Manifest
from runtime.open_image import decode_image
from runtime.preprocess import model_input
from runtime.runner import Images
from runtime.serving.body import read_body
from runtime.serving.models import Version
from runtime.serving.options import Limits
from runtime.serving.respond import as_json
from runtime.serving.unless_gone import unless_gone

__all__ = ["classify_upload"]


async def classify_upload(request: Request, version: Version, limits: Limits) -> Response:
    """Return the most probable classes of the image in a request's body, raw or multipart.

    Raises:
        RequestError: if there is none, or the model is no classifier of images.
        ImageError: if the image cannot be read, or must not be.
    """
    top = _parse_top(request.query_params.get("top", "5"))
    manifest = version.opened.bundle.manifest
    try:
        check_classifier(version.opened.variant, manifest)
    except OptionError as error:
        raise RequestError(400, str(error)) from None
    name, data = await _read_upload(request, version, limits)
    with version.answerer.admit(1):
        image = await anyio.to_thread.run_sync(
            _prepare, name, data, manifest, limits.pixels, limiter=_decoders()
        )
        outputs = await unless_gone(request, version.answerer.answer(image))
    (ranked,) = classify(outputs[0], manifest.labels, top)
    contract = version.opened.contract
    return as_json(
        {
            "model_name": contract.model,
            "model_version": contract.version,
            "image": name,
            "classes": [dataclasses.asdict(each) for each in ranked],
        }
    )


def _parse_top(given: str) -> int:
    if not given.isascii() or not given.isdigit() or int(given[:9]) == 0:
        raise RequestError(400, f"top: given '{given[:40]}'; expected a number of classes")
    return int(given[:9])


async def _read_upload(request: Request, version: Version, limits: Limits) -> tuple[str, bytes]:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return "image", await read_body(request, version.answerer, limits)
    async with request.form(max_files=1, max_fields=8) as form:
        for upload in form.values():
            if isinstance(upload, UploadFile):
                return upload.filename or "image", await upload.read()
    raise RequestError(400, "the form holds no file; expected an image, in any field")


@lru_cache(maxsize=1)
def _decoders() -> anyio.CapacityLimiter:
    # A decoded image takes 3 bytes a pixel: no more at once than make it faster.
    return anyio.CapacityLimiter(os.cpu_count() or 1)


def _prepare(name: str, data: bytes, manifest: Manifest, most_pixels: int) -> Images:
    image = decode_image(data, name, most_pixels)
    row: Images = model_input(image, manifest.image, manifest.pixels)[np.newaxis]
    return row
