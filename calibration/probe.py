"""Probe: runs a graph on the CPU and hands out what each of its activations holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from calibration.tap import tap
from runtime.errors import BackendError
from runtime.feed import fill_batch
from runtime.runner import Images

__all__ = ["Probe"]

_LOG_FATAL = 4
"""Log severity under which nothing is printed: errors arrive as exceptions all the same."""
_LARGE_BYTES = 4096
"""From here on a weight is handed over beside the graph. Small constants are looked into when the
graph is optimized, and have to be in it."""


class Probe:
    """A graph that is ready to run, with some of its tensors tapped.

    Args:
        graph: left as it is.
        tensors: their names.
        threads: how many one run takes; 0 for one a core.
        as_written: computes what is quantized pair by pair in float, weights as they are; else in
            integers, where ONNX Runtime finds its patterns.

    Raises:
        OptionError: if the graph has no such tensor.
        BackendError: if ONNX Runtime cannot run the graph.
    """

    def __init__(
        self,
        graph: ir.Model,
        tensors: Sequence[str],
        threads: int = 0,
        *,
        as_written: bool = True,
    ) -> None:
        self._input = str(graph.graph.inputs[0].name)
        self._tensors = [name for name in tensors if name != self._input]
        self._taps_input = self._input in tensors
        shape = graph.graph.inputs[0].shape
        fixed = shape[0] if shape is not None else None
        self._fixed_batch = fixed if isinstance(fixed, int) else 0
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_FATAL
        options.intra_op_num_threads = threads
        # Idle threads would spin on the cores that observe what the others have computed.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # One block for all tensors of a run would be held beside those that are handed out.
        options.enable_mem_pattern = False
        # ONNX Runtime would quantize the weights, too, wherever it finds rounded activations.
        options.add_session_config_entry("session.disable_quant_qdq", str(int(as_written)))
        tapped = tap(graph, self._tensors)
        # ONNX Runtime reads these where they lie: the session needs them as long as it lives.
        self._weights = _take_weights(tapped)
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(w) for w in self._weights.values()]
        options.add_external_initializers(list(self._weights), values)
        try:
            self._session = onnxruntime.InferenceSession(
                ir.to_proto(tapped).SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise BackendError(
                f"ONNX Runtime cannot run the graph to calibrate ({_one_line(error)})"
            ) from None

    def run(
        self, images: Images, parameters: Mapping[str, NDArray[Any]] = MappingProxyType({})
    ) -> dict[str, NDArray[np.float32]]:
        """Return what each tapped tensor holds for the images, by its name.

        A graph of fixed batch also runs on fewer images.

        Args:
            images: the first input of the graph.
            parameters: its other inputs, by name; those with a default may be left out.

        Raises:
            BackendError: if the graph cannot run on images of this shape.
        """
        padded = fill_batch(images, self._fixed_batch)
        try:
            outputs = self._session.run(self._tensors, {self._input: padded, **parameters})
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise BackendError(
                f"the graph to calibrate cannot run on images of shape {list(images.shape)} "
                f"({_one_line(error)})"
            ) from None
        seen = {self._input: images.astype(np.float32, copy=False)} if self._taps_input else {}
        for name, values in zip(self._tensors, outputs, strict=True):
            seen[name] = values[: len(images)] if len(values) == len(padded) else values
        return seen


def _take_weights(graph: ir.Model) -> dict[str, NDArray[np.float32]]:
    """Take the large weights out of the graph, and return them by name.

    To write them into the message that a session is opened with, and to read them out again, takes
    longer than all else, and thrice their memory.
    """
    taken = {}
    for name, value in graph.graph.initializers.items():
        content = value.const_value
        if content is None or content.dtype != ir.DataType.FLOAT or content.nbytes < _LARGE_BYTES:
            continue
        taken[name] = np.ascontiguousarray(content.numpy())
        shape = ir.Shape(content.numpy().shape)
        value.const_value = ir.ExternalTensor(
            "handed over", 0, content.nbytes, content.dtype, shape=shape, name=name
        )
    return taken


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:240]
