"""Makes the execution contexts of a TensorRT-RTX engine: one for every profile.

TensorRT-RTX compiles kernels for the GPU it finds when a context is made, which takes seconds. What
it compiled is kept in a file beside the engine, for the next process; a file that another GPU,
driver or version left there is not used. It captures CUDA graphs by itself, whatever the shape.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cuda.cuda import Cuda
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError
from runtime.locking import locked, replace

if TYPE_CHECKING:
    import tensorrt_rtx

__all__ = ["RtxContexts"]

_log = logging.getLogger(__name__)


class RtxContexts:
    """Contexts that share what they compile. Its owner has to close it, after them."""

    keep_graphs = True
    """CUDA graphs are not ours to capture."""

    def __init__(
        self, library: TensorRt, engine: tensorrt_rtx.ICudaEngine, cuda: Cuda, compiled: Path
    ) -> None:
        trt = library.module
        self._library = library
        self._engine = engine
        self._cuda = cuda
        self._compiled = compiled
        self._known = compiled.read_bytes() if compiled.is_file() else b""
        self._config = engine.create_runtime_config()
        self._config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        self._cache = self._config.create_runtime_cache()
        if self._known and not self._cache.deserialize(self._known):
            _log.info("'%s' is of another GPU, driver or version: compiling anew", compiled)
        self._config.set_runtime_cache(self._cache)

    def make(self, profile: int, stream: int) -> tensorrt_rtx.IExecutionContext:
        """Return a new context that runs within a profile.

        Raises:
            EngineError: if TensorRT refuses.
        """
        context = self._engine.create_execution_context(self._config)
        if context is None or not context.set_optimization_profile_async(profile, stream):
            raise EngineError(f"TensorRT-RTX cannot run this engine: {self._library.take_errors()}")
        self._cuda.synchronize(stream)
        return context

    def close(self) -> None:
        """Keep what was compiled."""
        data = bytes(memoryview(self._cache.serialize()))
        if data == self._known:
            return
        try:
            with locked(self._compiled.parent):
                replace(self._compiled, data)
        except OSError as error:  # the next process compiles again: slower, not wrong
            _log.warning("cannot keep compiled kernels in '%s': %s", self._compiled, error.strerror)
