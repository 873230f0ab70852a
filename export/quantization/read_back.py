"""Reads back what ONNX Runtime makes of a model: which operators really run on the CPU.

A quantized graph is a wish. Whether a convolution computes in integers is decided when ONNX Runtime
looks for its patterns, and it says nothing where it finds none: the convolution runs in float32.
Nor does it where it finds more than was meant, and quantizes weights that were to stay in float.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import onnx
import onnxruntime

from runtime.errors import BackendError, VerdictError

__all__ = ["check_integer_convolutions", "optimized_operators"]

_LOG_FATAL = 4
_TOKEN = re.compile(r"_token_\d+$")
"""What ONNX Runtime appends to the names of nodes that it makes of others."""


def optimized_operators(model: bytes) -> Counter[str]:
    """Return how often each operator stands in the model as ONNX Runtime optimizes it for this CPU.

    Args:
        model: a serialized ONNX model that holds its weights.

    Raises:
        BackendError: if ONNX Runtime cannot run the model.
    """
    return Counter(node.op_type for node in _optimized(model).node)


def check_integer_convolutions(model: bytes, wanted: Collection[str]) -> None:
    """Return if ONNX Runtime runs the wanted convolutions in integers, and no others.

    Args:
        model: a serialized ONNX model that holds its weights.
        wanted: the names of the convolutions.

    Raises:
        BackendError: if ONNX Runtime cannot run the model.
        VerdictError: if it runs another set of convolutions in integers; names one.
    """
    nodes = _optimized(model).node
    found = {_TOKEN.sub("", node.name) for node in nodes if node.op_type == "QLinearConv"}
    for name in sorted(set(wanted) ^ found):
        meant, runs = ("integers", "float32") if name in wanted else ("float32", "integers")
        raise VerdictError(
            f"ONNX Runtime {onnxruntime.__version__} runs the convolution '{name}' in {runs}; it "
            f"was to run in {meant}: the int8 graph is not what this CPU computes"
        )


def _optimized(model: bytes) -> onnx.GraphProto:
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
        return onnx.load(optimized).graph
