"""CudaBuffer: memory on the GPU, and pinned memory of the same size before it."""

from __future__ import annotations

import ctypes
import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.cuda.cuda import Cuda

__all__ = ["CudaBuffer"]

T = TypeVar("T", bound=np.generic)


class CudaBuffer:
    """So many bytes on the GPU, and as many in pinned memory, to be used again and again.

    Its owner has to close it.
    """

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda = cuda
        self.size = max(size, 1)  # an address has to be had even for nothing
        self.device = cuda.malloc(self.size)
        try:
            self.host = cuda.malloc_host(self.size)
        except BaseException:
            cuda.free(self.device)
            raise

    def view(self, shape: tuple[int, ...], dtype: np.dtype[T]) -> NDArray[T]:
        """Return the pinned memory as an array of that shape: a view, valid until close."""
        memory = (ctypes.c_ubyte * (math.prod(shape) * dtype.itemsize)).from_address(self.host)
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def close(self) -> None:
        """Give the memory back."""
        try:
            self._cuda.free_host(self.host)
        finally:
            self._cuda.free(self.device)
