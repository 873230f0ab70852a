"""Runs a graph of one output or of several behind the Runner protocol, for comparison.

What runs on a device is a classifier, of one output. The maps of a head of several are joined here
into one row an image, first output first, as TorchRunner joins them: then whatever compares logits
compares maps.
"""

from __future__ import annotations

import numpy as np
import onnxruntime

from runtime.errors import BackendError
from runtime.onnx_runner import OnnxRunner
from runtime.runner import Images, Logits, Runner

__all__ = ["MapRunner", "open_outputs"]

_LOG_FATAL = 4


class MapRunner:
    """A graph of several outputs in ONNX Runtime on the CPU."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _LOG_FATAL
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
            raise BackendError(f"onnxruntime cannot load the graph: {_one_line(error)}") from None
        self._input = self._session.get_inputs()[0].name

    @property
    def name(self) -> str:
        """The library and the provider."""
        return "onnxruntime cpu"

    def maps(self, images: Images) -> list[Logits]:
        """Return every output, in order.

        Raises:
            BackendError: if the run fails.
        """
        try:
            outputs: list[Logits] = self._session.run(None, {self._input: images})
        except Exception as error:  # as above
            raise BackendError(f"onnxruntime cannot run the graph: {_one_line(error)}") from None
        return outputs

    def logits(self, images: Images) -> Logits:
        """Return one row an image, of all outputs joined."""
        joined = [part.reshape(len(part), -1) for part in self.maps(images)]
        return np.concatenate(joined, axis=1)


def open_outputs(model: bytes, outputs: int) -> Runner:
    """Return a runner of an ONNX file with so many outputs."""
    return OnnxRunner.open(model) if outputs == 1 else MapRunner(model)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
