"""Calls the CUDA runtime in NVIDIA's bindings: cuda-bindings, or cuda-python before 12.8.

They contain the runtime itself: besides them only the driver is needed.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from runtime.cuda.cuda import cuda_error
from runtime.errors import BackendMissingError

__all__ = ["BindingsApi", "open_api"]

_HOMES = ("cuda.bindings.runtime", "cuda.cudart")
"""Where the bindings are: since 12.8, and before."""

_ENUMS = {
    "cudaMemcpyAsync": (3, "cudaMemcpyKind"),
    "cudaStreamBeginCapture": (1, "cudaStreamCaptureMode"),
}
"""The functions that take an enumerator: which argument it is, and of what enumeration."""


class BindingsApi:
    """The CUDA runtime within the bindings."""

    def __init__(self, runtime: ModuleType) -> None:
        self._runtime = runtime

    def call(self, function: str, *arguments: int) -> float:
        """Return what the function gives besides its error; see CudaApi."""
        values: list[object] = list(arguments)
        if function in _ENUMS:
            index, enum = _ENUMS[function]
            values[index] = getattr(self._runtime, enum)(arguments[index])
        code, *results = getattr(self._runtime, function)(*values)
        if code != self._runtime.cudaError_t.cudaSuccess:
            _, name = self._runtime.cudaGetErrorName(code)
            raise cuda_error(function, int(code), name.decode())
        if not results:
            return 0
        return results[0] if isinstance(results[0], float) else int(results[0])


def open_api() -> BindingsApi:
    """Return the CUDA runtime within the bindings.

    Raises:
        BackendMissingError: if they are not installed.
    """
    for home in _HOMES:
        try:
            return BindingsApi(importlib.import_module(home))
        except ImportError:
            continue
    raise BackendMissingError("this needs the CUDA runtime. Run: pip install cuda-bindings")
