"""The part of the CUDA runtime that running an engine takes: memory, streams, events, graphs.

`Cuda` speaks of it in Python; below it stands a CudaApi, which calls C functions by their names:
through NVIDIA's bindings (bindings) or, on small devices, in libcudart itself (library).
There every failure of every call becomes an EngineError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from runtime.errors import BackendMissingError, EngineError

__all__ = ["Cuda", "CudaApi", "cuda_error", "open_cuda"]

# <driver_types.h>
_COPY_TO_DEVICE = 1
_COPY_TO_HOST = 2
_STREAM_NON_BLOCKING = 1
_CAPTURE_THREAD_LOCAL = 1

_REMEDIES = {
    2: "use a smaller --batch, or close what else uses the GPU",
    35: "there is no NVIDIA driver, or it is older than this CUDA library: update the driver",
    46: "another program has the GPU to itself",
    100: "no NVIDIA GPU answers. Run: nvidia-smi",
    700: "the engine is broken: build it again",
    719: "the engine is broken, or the GPU is. Run: nvidia-smi",
}
"""What to do, by cudaError_t."""


class CudaApi(Protocol):
    """Calls functions of the CUDA runtime by their C names."""

    def call(self, function: str, *arguments: int) -> float:
        """Return what the function gives besides its error: a handle, an address, or 0 for nothing.

        Args:
            function: one of the functions that Cuda calls.
            arguments: those of the C function but for the result; handles, addresses and
                enumerators as integers.

        Raises:
            EngineError: if it returns anything but cudaSuccess.
        """


def cuda_error(function: str, code: int, name: str) -> EngineError:
    """Return the error of a CUDA function that failed.

    Args:
        function: its C name.
        code: the cudaError_t it returned.
        name: the enumerator of the code: "cudaErrorMemoryAllocation".
    """
    remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
    return EngineError(f"CUDA: {function} failed with {name} ({code}){remedy}")


def open_cuda() -> Cuda:
    """Return the CUDA runtime, the best way that is installed here.

    Raises:
        BackendMissingError: if there is none.
        EngineError: if one is there and has no GPU or driver to work with.
    """
    from runtime.cuda import bindings, library

    failures: list[Exception] = []
    for open_api in (bindings.open_api, library.open_api):
        try:
            api: CudaApi = open_api()
            # The first call that needs driver and GPU: a library too new for its driver fails here.
            api.call("cudaGetDeviceCount")
        except (BackendMissingError, EngineError) as error:
            failures.append(error)
        else:
            return Cuda(api)
    # A library that cannot work says more than one that is not there.
    raise next((f for f in failures if isinstance(f, EngineError)), failures[-1])


class Cuda:
    """The CUDA runtime. Addresses and handles are integers, and the caller's to give back."""

    def __init__(self, api: CudaApi) -> None:
        self._api = api

    def malloc(self, size: int) -> int:
        """Return the address of so many bytes on the GPU."""
        return int(self._api.call("cudaMalloc", size))

    def free(self, address: int) -> None:
        """Give memory on the GPU back."""
        self._api.call("cudaFree", address)

    def malloc_host(self, size: int) -> int:
        """Return the address of so many bytes of pinned memory, which copies need not stage."""
        return int(self._api.call("cudaMallocHost", size))

    def free_host(self, address: int) -> None:
        """Give pinned memory back."""
        self._api.call("cudaFreeHost", address)

    def copy_to_device(self, device: int, host: int, size: int, stream: int) -> None:
        """Queue a copy to the GPU; the memory must stay as it is until the stream gets there."""
        self._api.call("cudaMemcpyAsync", device, host, size, _COPY_TO_DEVICE, stream)

    def copy_to_host(self, host: int, device: int, size: int, stream: int) -> None:
        """Queue a copy from the GPU."""
        self._api.call("cudaMemcpyAsync", host, device, size, _COPY_TO_HOST, stream)

    def create_stream(self) -> int:
        """Return a stream that does not wait for the default stream."""
        return int(self._api.call("cudaStreamCreateWithFlags", _STREAM_NON_BLOCKING))

    def destroy_stream(self, stream: int) -> None:
        """Give a stream back, once its work is done."""
        self._api.call("cudaStreamDestroy", stream)

    def synchronize(self, stream: int) -> None:
        """Wait until the stream has done its work; faults of that work show here."""
        self._api.call("cudaStreamSynchronize", stream)

    def create_event(self) -> int:
        """Return an event that keeps the time."""
        return int(self._api.call("cudaEventCreate"))

    def destroy_event(self, event: int) -> None:
        """Give an event back."""
        self._api.call("cudaEventDestroy", event)

    def record(self, event: int, stream: int) -> None:
        """Queue the event: it notes the time at which the stream gets there."""
        self._api.call("cudaEventRecord", event, stream)

    def elapsed_ms(self, start: int, end: int) -> float:
        """Return the milliseconds between two events that have both happened."""
        return self._api.call("cudaEventElapsedTime", start, end)

    @contextlib.contextmanager
    def capture(self, stream: int) -> Iterator[list[int]]:
        """Record what the block queues into the stream, instead of running it.

        Yields:
            A list that holds the graph, ready to launch, once the block is done.
        """
        made: list[int] = []
        self._api.call("cudaStreamBeginCapture", stream, _CAPTURE_THREAD_LOCAL)
        try:
            yield made
        except BaseException:  # the stream is of no use to anyone while it captures
            with contextlib.suppress(EngineError):
                self._api.call("cudaGraphDestroy", self._end_capture(stream))
            raise
        graph = self._end_capture(stream)
        try:
            made.append(int(self._api.call("cudaGraphInstantiateWithFlags", graph, 0)))
        finally:
            self._api.call("cudaGraphDestroy", graph)

    def launch(self, graph: int, stream: int) -> None:
        """Queue all that was captured."""
        self._api.call("cudaGraphLaunch", graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Give a graph back."""
        self._api.call("cudaGraphExecDestroy", graph)

    def _end_capture(self, stream: int) -> int:
        return int(self._api.call("cudaStreamEndCapture", stream))
