"""What Prometheus may know of a server. Labels are names of models, never what a client sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)
_VERSION = ("model", "version")


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "resnet_deploy_requests",
            "Requests that named a model, by HTTP status.",
            (*_VERSION, "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "resnet_deploy_request_seconds",
            "From the end of a request's body to its answer.",
            _VERSION,
            buckets=_SECONDS,
            registry=registry,
        )
        self.responses = Counter(
            "resnet_deploy_responses",
            "Answers to all requests, by HTTP status.",
            ("status",),
            registry=registry,
        )
        self.batch_images = Histogram(
            "resnet_deploy_batch_images",
            "Images the model was given at once.",
            _VERSION,
            buckets=_IMAGES,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "resnet_deploy_batch_seconds",
            "How long the model took for a batch.",
            _VERSION,
            buckets=_SECONDS,
            registry=registry,
        )
        self.admitted = Gauge(
            "resnet_deploy_admitted_images",
            "Images that are accepted and not yet answered.",
            _VERSION,
            registry=registry,
        )
        self.outdated = Gauge(
            "resnet_deploy_bundle_outdated",
            "1 if the bundle on the disk is no longer the one that is served.",
            ("model",),
            registry=registry,
        )

    def observe_batch(self, model: str, version: str, images: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_images.labels(model, version).observe(images)
        self.batch_seconds.labels(model, version).observe(seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
