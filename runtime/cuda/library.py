"""Calls the CUDA runtime in libcudart itself, for devices that lack NVIDIA's Python bindings."""

from __future__ import annotations

import ctypes
import sys
from ctypes import c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import Any

from runtime.cuda.cuda import cuda_error
from runtime.errors import BackendMissingError

__all__ = ["LibraryApi", "open_api"]

_FUNCTIONS: dict[str, tuple[type[Any] | None, tuple[type[Any], ...]]] = {
    "cudaGetDeviceCount": (c_int, ()),
    "cudaMalloc": (c_void_p, (c_size_t,)),
    "cudaFree": (None, (c_void_p,)),
    "cudaMallocHost": (c_void_p, (c_size_t,)),
    "cudaFreeHost": (None, (c_void_p,)),
    "cudaMemcpyAsync": (None, (c_void_p, c_void_p, c_size_t, c_int, c_void_p)),
    "cudaStreamCreateWithFlags": (c_void_p, (c_uint,)),
    "cudaStreamDestroy": (None, (c_void_p,)),
    "cudaStreamSynchronize": (None, (c_void_p,)),
    "cudaEventCreate": (c_void_p, ()),
    "cudaEventDestroy": (None, (c_void_p,)),
    "cudaEventRecord": (None, (c_void_p, c_void_p)),
    "cudaEventElapsedTime": (c_float, (c_void_p, c_void_p)),
    "cudaStreamBeginCapture": (None, (c_void_p, c_int)),
    "cudaStreamEndCapture": (c_void_p, (c_void_p,)),
    "cudaGraphInstantiateWithFlags": (c_void_p, (c_void_p, c_ulonglong)),
    "cudaGraphDestroy": (None, (c_void_p,)),
    "cudaGraphLaunch": (None, (c_void_p, c_void_p)),
    "cudaGraphExecDestroy": (None, (c_void_p,)),
}
"""Of each function: what it gives through a pointer, and what it takes. Without these types ctypes
would cut addresses to 32 bits."""

_RESULT_LAST = frozenset({"cudaStreamEndCapture"})
"""The functions whose pointer for the result is the last argument and not the first."""

_VERSIONS = ("13", "12", "11.0")


class LibraryApi:
    """The CUDA runtime in a loaded libcudart."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.cudaGetErrorName.restype = ctypes.c_char_p
        for name, (result, arguments) in _FUNCTIONS.items():
            pointer = (c_void_p,) if result is not None else ()
            first, last = ((), pointer) if name in _RESULT_LAST else (pointer, ())
            getattr(library, name).argtypes = (*first, *arguments, *last)

    def call(self, function: str, *arguments: int) -> float:
        """Return what the function gives besides its error; see CudaApi."""
        kind, _ = _FUNCTIONS[function]
        result = kind() if kind is not None else None
        pointer = (ctypes.byref(result),) if result is not None else ()
        first, last = ((), pointer) if function in _RESULT_LAST else (pointer, ())
        code = getattr(self._library, function)(*first, *arguments, *last)
        if code != 0:
            name = self._library.cudaGetErrorName(code)
            raise cuda_error(function, code, (name or b"an unknown error").decode())
        return 0 if result is None else result.value or 0


def open_api() -> LibraryApi:
    """Return the CUDA runtime in the newest libcudart that can be found.

    Raises:
        BackendMissingError: if there is none.
    """
    for path in _candidates():
        try:
            return LibraryApi(ctypes.CDLL(path))
        except (OSError, AttributeError):  # not there; or too old for one of the functions
            continue
    raise BackendMissingError("this needs the CUDA runtime. Run: pip install cuda-bindings")


def _candidates() -> list[str]:
    if sys.platform == "win32":
        return [f"cudart64_{version.replace('.', '')}.dll" for version in _VERSIONS]
    names = [f"libcudart.so.{version}" for version in _VERSIONS]
    folders = [Path("/usr/local/cuda/lib64")]
    for packages in map(Path, sys.path):  # NVIDIA's own wheels
        folders += [packages / "nvidia" / "cu13" / "lib", packages / "nvidia/cuda_runtime/lib"]
    return names + [str(folder / name) for folder in folders for name in names]
