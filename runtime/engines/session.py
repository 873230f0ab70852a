"""EngineSession: an engine with everything it holds on the GPU, for one batch at a time.

    images ─copy→ pinned memory ─stream→ GPU ─engine→ GPU ─stream→ pinned memory ─copy→ logits

What lies between the two copies is queued on one stream, not the default one, which makes others
wait, and is waited for once. The second time a shape comes along it is captured into a CUDA graph,
which from then on starts with a single call; for a shape that comes once it is not worth it.

A graph is bound to the state of the context it was captured from: hence a context for every shape.
TensorRT-RTX captures by itself, for every shape of a context: there, one for every profile.
"""

from __future__ import annotations

import contextlib
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.cuda.buffer import CudaBuffer
from runtime.cuda.cuda import Cuda
from runtime.engines.contexts import EngineContexts
from runtime.engines.io_tensors import read_io
from runtime.engines.output_allocator import OutputMemory, make_allocator
from runtime.engines.rtx_contexts import RtxContexts
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError
from runtime.runner import Images, Logits

if TYPE_CHECKING:
    import tensorrt

__all__ = ["EngineSession"]

_MOST_LANES = 8
"""Contexts kept at once: more shapes than that come from images that should have been resized."""

_FLOAT32 = np.dtype(np.float32)

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Lane:
    """A context, and the shape it is ready for."""

    context: tensorrt.IExecutionContext
    images: tuple[int, ...] = ()
    logits: tuple[int, ...] = ()
    runs: int = 0
    graph: int = 0
    capturable: bool = True

    @property
    def is_open_ended(self) -> bool:
        """Whether the logits' shape is known only once they have been computed."""
        return min(self.logits) < 0


class EngineSession:
    """An engine that is ready to run. Its owner has to close it."""

    def __init__(
        self, library: TensorRt, engine: tensorrt.ICudaEngine, cuda: Cuda, compiled: Path
    ) -> None:
        """Take hold of the engine.

        Args:
            library: of the engine's flavour.
            engine: a classifier.
            cuda: the CUDA runtime.
            compiled: where TensorRT-RTX keeps what it compiled.

        Raises:
            EngineError: if the engine is no classifier, or CUDA fails.
        """
        self.io = read_io(library, engine)
        self._library = library
        self._cuda = cuda
        self._lanes: dict[tuple[int, tuple[int, ...]], _Lane] = {}
        self._images: CudaBuffer | None = None
        self._logits: CudaBuffer | None = None
        with contextlib.ExitStack() as held:
            self._stream = cuda.create_stream()
            held.callback(cuda.destroy_stream, self._stream)
            self._start, self._end = cuda.create_event(), cuda.create_event()
            held.callback(cuda.destroy_event, self._start)
            held.callback(cuda.destroy_event, self._end)
            self._contexts = (
                RtxContexts(library, engine, cuda, compiled)
                if library.flavour == "tensorrt_rtx"
                else EngineContexts(library, engine, cuda)
            )
            held.callback(self._contexts.close)
            self._open_ended = OutputMemory(cuda)
            self._allocator = make_allocator(library.module, self._open_ended)
            held.callback(self._open_ended.close)
            held.callback(self._drop_buffers)
            held.callback(self._drop_lanes)
            self._held = held.pop_all()

    def run(self, profile: int, images: Images) -> Logits:
        """Return one row of logits per image. The array is the caller's to keep.

        Args:
            profile: the index of a profile that accepts the images.
            images: a batch, of the engine's own type.

        Raises:
            EngineError: if TensorRT or CUDA fails.
        """
        lane = self._take_lane(profile, images.shape)
        pinned, logits = self._reserve(images.nbytes, math.prod(lane.logits) * _FLOAT32.itemsize)
        pinned.view(images.shape, self.io.dtype)[:] = images
        self._cuda.record(self._start, self._stream)
        self._start_lane(lane, pinned, logits)
        self._cuda.record(self._end, self._stream)
        self._cuda.synchronize(self._stream)
        lane.runs += 1
        return self._fetch() if lane.is_open_ended else logits.view(lane.logits, _FLOAT32).copy()

    @property
    def device_ms(self) -> float:
        """How long the GPU took for the last batch, copies included."""
        return self._cuda.elapsed_ms(self._start, self._end)

    def close(self) -> None:
        """Give everything back, the last thing taken first; a second call does nothing.

        Raises:
            EngineError: if CUDA fails; all the rest is given back nevertheless.
        """
        self._held.close()

    def _take_lane(self, profile: int, shape: tuple[int, ...]) -> _Lane:
        key = (profile, () if self._contexts.keep_graphs else shape)
        lane = self._lanes.get(key)
        if lane is None:
            while len(self._lanes) >= _MOST_LANES:
                self._drop_graph(self._lanes.pop(next(iter(self._lanes))))
            lane = _Lane(self._contexts.make(profile, self._stream))
            lane.capturable = not self._contexts.keep_graphs
            self._lanes[key] = lane
        if lane.images != shape:
            self._set_shape(lane, shape)
        return lane

    def _set_shape(self, lane: _Lane, shape: tuple[int, ...]) -> None:
        context = lane.context
        if not context.set_input_shape(self.io.images, shape) or context.infer_shapes():
            raise EngineError(
                f"TensorRT does not take images {'x'.join(map(str, shape))}: "
                f"{self._library.take_errors()}"
            )
        lane.images, lane.logits = shape, tuple(context.get_tensor_shape(self.io.logits))
        if lane.is_open_ended:
            lane.capturable = False
            context.set_output_allocator(self.io.logits, self._allocator)

    def _reserve(self, images: int, logits: int) -> tuple[CudaBuffer, CudaBuffer]:
        """Return buffers of at least so many bytes: those that are there, or larger ones."""
        if self._images is None or self._images.size < images:
            self._images = self._grow(self._images, images)
        if self._logits is None or self._logits.size < logits:
            self._logits = self._grow(self._logits, logits)
        return self._images, self._logits

    def _grow(self, buffer: CudaBuffer | None, size: int) -> CudaBuffer:
        for lane in self._lanes.values():  # their graphs know the old addresses
            self._drop_graph(lane)
        larger = CudaBuffer(self._cuda, size)
        if buffer is not None:
            buffer.close()
        return larger

    def _start_lane(self, lane: _Lane, images: CudaBuffer, logits: CudaBuffer) -> None:
        if lane.capturable and lane.runs and not lane.graph:
            self._capture(lane, images, logits)
        if lane.graph:
            self._cuda.launch(lane.graph, self._stream)
        else:
            self._queue(lane, images, logits)

    def _capture(self, lane: _Lane, images: CudaBuffer, logits: CudaBuffer) -> None:
        try:
            with self._cuda.capture(self._stream) as made:
                self._queue(lane, images, logits)
            lane.graph = made[0]
        except EngineError as error:
            lane.capturable = False
            _log.warning("running without a CUDA graph, which is slower: %s", error)

    def _queue(self, lane: _Lane, images: CudaBuffer, logits: CudaBuffer) -> None:
        context, stream = lane.context, self._stream
        size = math.prod(lane.images) * self.io.dtype.itemsize
        self._cuda.copy_to_device(images.device, images.host, size, stream)
        context.set_tensor_address(self.io.images, images.device)
        if not lane.is_open_ended:
            context.set_tensor_address(self.io.logits, logits.device)
        if not context.execute_async_v3(stream):
            failure = self._open_ended.failure or self._library.take_errors()
            raise EngineError(f"TensorRT cannot run this engine: {failure}")
        if not lane.is_open_ended:
            size = math.prod(lane.logits) * _FLOAT32.itemsize
            self._cuda.copy_to_host(logits.host, logits.device, size, stream)

    def _fetch(self) -> Logits:
        logits = np.empty(self._open_ended.shape, np.float32)
        address = self._open_ended.address
        self._cuda.copy_to_host(logits.ctypes.data, address, logits.nbytes, self._stream)
        self._cuda.synchronize(self._stream)
        return logits

    def _drop_graph(self, lane: _Lane) -> None:
        graph, lane.graph = lane.graph, 0
        if graph:
            self._cuda.destroy_graph(graph)

    def _drop_lanes(self) -> None:
        while self._lanes:
            self._drop_graph(self._lanes.popitem()[1])

    def _drop_buffers(self) -> None:
        for buffer in (self._images, self._logits):
            if buffer is not None:
                buffer.close()
        self._images = self._logits = None
