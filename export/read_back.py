"""Reads back what ONNX Runtime makes of a model: which operators really run on the CPU.

A quantized graph is a wish. Whether a convolution computes in integers is decided when ONNX Runtime
looks for its patterns, and it says nothing where it finds none: the convolution runs in float32.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from runtime.errors import BackendError

__all__ = ["optimized_operators"]

_LOG_FATAL = 4


def optimized_operators(model: bytes) -> Counter[str]:
    """Return how often each operator stands in the model as ONNX Runtime optimizes it for this CPU.

    Args:
        model: a serialized ONNX model that holds its weights.

    Raises:
        BackendError: if ONNX Runtime cannot run the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder, "optimized.onnx")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_FATAL
        options.optimized_model_filepath = str(optimized)
        try:
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no base class of their own
            reason = " ".join(str(error).split())[:240]
            raise BackendError(f"ONNX Runtime cannot run the model ({reason})") from None
        return Counter(node.op_type for node in onnx.load(optimized).graph.node)
