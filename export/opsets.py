"""The versions of ONNX's operators that graphs are written in."""

from __future__ import annotations

__all__ = ["DEFAULT_OPSET", "OPSETS"]

DEFAULT_OPSET = 18
"""What torch's exporter writes without a conversion, and what TensorRT 10.3 (JetPack 6) and ONNX
Runtime 1.14 and later read."""

OPSETS = range(18, 24)
"""What torch's exporter can write and ONNX Runtime runs; each is tested."""
