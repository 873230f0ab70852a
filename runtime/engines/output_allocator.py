"""Gives TensorRT memory for an output whose shape is known only when it has been computed."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from runtime.cuda.cuda import Cuda
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["OutputMemory", "make_allocator"]


class OutputMemory:
    """Memory on the GPU that grows with the largest output so far. Its owner has to close it."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self._size = 0
        self.address = 0
        self.shape: tuple[int, ...] = ()
        """Of the last output."""
        self.failure: EngineError | None = None
        """Why the last request failed."""

    def reserve(self, size: int) -> int:
        """Return the address of at least so many bytes, or 0.

        It does not raise: TensorRT calls this from C++, which no exception must travel through.
        """
        try:
            if size > self._size or not self.address:
                self.close()
                self.address = self._cuda.malloc(max(size, 1))
                self._size = size
            self.failure = None
        except EngineError as error:
            self.failure = error
        return self.address

    def close(self) -> None:
        """Give the memory back."""
        address, self.address, self._size = self.address, 0, 0
        if address:
            self._cuda.free(address)


def make_allocator(trt: ModuleType, memory: OutputMemory) -> tensorrt.IOutputAllocator:
    """Return the allocator through which TensorRT asks for that memory."""

    class Allocator(trt.IOutputAllocator):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)

        def reallocate_output(self, name: str, address: int, size: int, alignment: int) -> int:
            return memory.reserve(size)

        def reallocate_output_async(
            self, name: str, address: int, size: int, alignment: int, stream: int
        ) -> int:
            return memory.reserve(size)

        def notify_shape(self, name: str, shape: tensorrt.Dims) -> None:
            memory.shape = tuple(shape)

    allocator: tensorrt.IOutputAllocator = Allocator()
    return allocator
