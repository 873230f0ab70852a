"""Reads a bundle's float32 model as a graph."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from runtime.bundle import Bundle
from runtime.self_contained import check_self_contained

__all__ = ["read_graph"]


def read_graph(bundle: Bundle) -> ir.Model:
    """Return the graph of the variant "fp32", its weights within.

    Raises:
        BundleError: if the file was altered, or its weights lie elsewhere.
    """
    data = bundle.read(bundle.variant("fp32").file)
    check_self_contained(data)
    return ir.from_proto(onnx.load_from_string(data))
