"""MadeVariant: a graph of lower precision, ready to be judged and published; and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import onnx_ir as ir

from runtime.image_spec import ImageSpec

__all__ = ["Form", "MadeVariant"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Form:
    """What all graphs of a bundle take, and how one becomes a file."""

    image: ImageSpec
    pixels: str
    """The layout, if they take pixels; "" if they take normalised images."""
    stamp: Callable[[ir.Model], bytes]
    """Makes the ONNX file of a graph."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MadeVariant:
    """A variant that no bundle holds yet."""

    name: str
    """In the manifest: "fp16", "int8.trt", "int8.cpu"."""
    precision: str
    """"float16" or "int8"."""
    graph: ir.Model
    data: bytes
    """The graph as the ONNX file, stamped."""
    placement: str = ""
    """As in the manifest."""
    kept_float: dict[str, str] = field(default_factory=dict)
    """Nodes that stay in a wider type, each with the reason."""

    kept_float_slowdown: float | None = None
    """As in the manifest."""

    @property
    def file(self) -> str:
        """Its path in the bundle."""
        return f"model.{self.name}.onnx"
