"""The application: the Open Inference Protocol over HTTP, images for people, and metrics.

    GET  /v2  /v2/health/live  /v2/health/ready
    GET  /v2/models/NAME[/versions/VERSION][/ready]
    POST /v2/models/NAME[/versions/VERSION]/infer        tensors in, tensors out
    POST /v2/repository/index                            what is served, as Triton tells it
    POST /classify[?model=NAME&version=VERSION&top=5]    an image file in, classes out
    GET  /                                               a page to drop an image on
    GET  /metrics

Errors are JSON objects with the one key `error`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib import metadata, resources

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from runtime.errors import ImageError, RequestError
from runtime.serving.body import read_body
from runtime.serving.classify_upload import classify_upload
from runtime.serving.doorkeeper import Doorkeeper
from runtime.serving.encode_answer import encode_answer
from runtime.serving.handlers import CLIENT_LEFT, HANDLERS
from runtime.serving.metrics import CONTENT_TYPE, Metrics
from runtime.serving.models import Models, Version
from runtime.serving.options import Limits
from runtime.serving.parse_request import HEADER_LENGTH, parse_request
from runtime.serving.respond import as_json
from runtime.serving.unless_gone import unless_gone

__all__ = ["build_application"]

_LARGE_JSON = 1 << 16
"""Bytes; more is parsed in a thread, so that others do not wait for it."""

# The page is one file that asks nothing of anyone but this server.
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def build_application(models: Models, limits: Limits, metrics: Metrics, token: str = "") -> ASGIApp:
    """Return the ASGI application that serves the models.

    Args:
        models: what is served; may be exchanged while it runs, and is closed with the application.
        limits: what a client can make it do at most.
        metrics: counts what it does.
        token: what a client has to send as its bearer token; "" lets everybody in.
    """
    endpoints = _Endpoints(models, limits, metrics)
    # It would write a line on stderr for every form that is none, as strangers send them.
    logging.getLogger("python_multipart").addHandler(logging.NullHandler())

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        yield
        await models.close()

    application = Starlette(
        routes=_routes(endpoints),
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    return Doorkeeper(application, limits, metrics, token)


def _routes(endpoints: _Endpoints) -> list[Route]:
    model = "/v2/models/{name}"
    version = model + "/versions/{version}"
    return [
        Route("/", endpoints.page),
        Route("/metrics", endpoints.metrics_text),
        Route("/classify", endpoints.classify, methods=["POST"]),
        Route("/v2", endpoints.server),
        Route("/v2/health/live", endpoints.live),
        Route("/v2/health/ready", endpoints.ready),
        Route("/v2/repository/index", endpoints.index, methods=["POST"]),
        *(Route(path, endpoints.model) for path in (model, version)),
        *(Route(path + "/ready", endpoints.model_ready) for path in (model, version)),
        *(Route(path + "/infer", endpoints.infer, methods=["POST"]) for path in (model, version)),
    ]


@dataclass(frozen=True)
class _Endpoints:
    models: Models
    limits: Limits
    metrics: Metrics

    async def page(self, request: Request) -> Response:
        text = resources.files("runtime.serving").joinpath("page.html").read_text("utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": _PAGE_POLICY})

    async def metrics_text(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def server(self, request: Request) -> Response:
        extensions = ["binary_tensor_data", "classification"]
        document = {"name": "resnet-deploy", "version": _release(), "extensions": extensions}
        return as_json(document)

    async def live(self, request: Request) -> Response:
        return as_json({"live": True})

    async def ready(self, request: Request) -> Response:
        return as_json({"ready": True})

    async def index(self, request: Request) -> Response:
        contracts = [v.opened.contract for vs in self.models.by_name.values() for v in vs]
        return as_json(
            [{"name": c.model, "version": c.version, "state": "READY"} for c in contracts]
        )

    async def model(self, request: Request) -> Response:
        contract = self._find(request).opened.contract
        versions = [v.opened.contract.version for v in self.models.by_name[contract.model]]
        document = {
            "name": contract.model,
            "versions": versions,
            "platform": contract.platform,
            "inputs": [contract.input.describe()],
            "outputs": [output.describe() for output in contract.outputs],
        }
        return as_json(document)

    async def model_ready(self, request: Request) -> Response:
        return as_json({"name": self._find(request).opened.contract.model, "ready": True})

    async def infer(self, request: Request) -> Response:
        version = self._find(request)
        contract = version.opened.contract
        with self._counted(version):
            body = await read_body(request, version.answerer, self.limits)
            given = request.headers.get(HEADER_LENGTH)
            if given is None and len(body) > _LARGE_JSON:
                asked = await anyio.to_thread.run_sync(parse_request, body, given, contract)
            else:
                asked = parse_request(body, given, contract)
            with version.answerer.admit(len(asked.images)):
                answering = version.answerer.answer(asked.images)
                outputs = await unless_gone(request, answering)
            answer, header_length = encode_answer(asked, outputs, contract)
        if header_length is None:
            return Response(answer, media_type="application/json")
        return Response(
            answer,
            headers={HEADER_LENGTH: str(header_length)},
            media_type="application/octet-stream",
        )

    async def classify(self, request: Request) -> Response:
        name = request.query_params.get("model") or next(iter(self.models.by_name))
        version = self.models.find(name, request.query_params.get("version", ""))
        with self._counted(version):
            return await classify_upload(request, version, self.limits)

    def _find(self, request: Request) -> Version:
        return self.models.find(request.path_params["name"], request.path_params.get("version", ""))

    @contextlib.contextmanager
    def _counted(self, version: Version) -> Iterator[None]:
        contract = version.opened.contract
        labels = (contract.model, contract.version)
        start = time.perf_counter()
        status = 500
        try:
            with version.used():
                yield
            status = 200
        except RequestError as error:
            status = error.status
            raise
        except ImageError:
            status = 400
            raise
        except HTTPException as error:  # of a form that is none
            status = error.status_code
            raise
        except ClientDisconnect:
            status = CLIENT_LEFT
            raise
        finally:
            self.metrics.requests.labels(*labels, str(status)).inc()
            self.metrics.request_seconds.labels(*labels).observe(time.perf_counter() - start)


def _release() -> str:
    try:
        return metadata.version("resnet-deploy")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "unknown"
