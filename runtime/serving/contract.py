"""Contract: what a version of a model takes and gives over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.serving.tensors import Tensor

__all__ = ["Contract"]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a version of a model takes and gives."""

    model: str
    version: str
    platform: str
    input: Tensor
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...]
    channels: int
    largest_batch: int
    largest_pixels: int
    """Of all images of a request together."""
