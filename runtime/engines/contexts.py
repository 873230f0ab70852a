"""Makes the execution contexts of a TensorRT engine: one a shape, with one working memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.cuda.cuda import Cuda
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["EngineContexts"]


class EngineContexts:
    """Contexts of which only one runs at a time. Its owner has to close it, after them."""

    keep_graphs = False
    """A CUDA graph is ours to capture, and bound to the state its context then had."""

    def __init__(self, library: TensorRt, engine: tensorrt.ICudaEngine, cuda: Cuda) -> None:
        self._library = library
        self._engine = engine
        self._cuda = cuda
        # The most that any profile needs, so that its address never changes under a graph.
        self._size = max(engine.device_memory_size_v2, 1)
        self._memory = cuda.malloc(self._size)

    def make(self, profile: int, stream: int) -> tensorrt.IExecutionContext:
        """Return a new context that runs within a profile.

        Raises:
            EngineError: if TensorRT refuses.
        """
        trt = self._library.module
        by_us = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(by_us)
        if context is None:
            raise EngineError(f"TensorRT cannot run this engine: {self._library.take_errors()}")
        context.set_device_memory(self._memory, self._size)
        if not context.set_optimization_profile_async(profile, stream):
            raise EngineError(f"TensorRT cannot run this engine: {self._library.take_errors()}")
        self._cuda.synchronize(stream)
        return context

    def close(self) -> None:
        """Give the working memory back."""
        self._cuda.free(self._memory)
