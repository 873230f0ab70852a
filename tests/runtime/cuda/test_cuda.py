"""Both ways into CUDA: a libcudart of our own making, and NVIDIA's bindings without a driver."""

import ctypes
import inspect
import shutil
import subprocess

import numpy as np
import pytest

from runtime.cuda import bindings, library
from runtime.cuda.buffer import CudaBuffer
from runtime.cuda.cuda import Cuda, open_cuda
from runtime.cuda.gpu import find_gpu
from runtime.errors import BackendMissingError, EngineError

needs_no_gpu = pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")

# The functions of the CUDA runtime that Cuda calls, over the processor's memory.
LIBCUDART = r"""
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
int fails = 0;               /* the error that every function returns */
uint64_t seen[4];            /* the arguments of the last call that took handles */
#define HANDLE 0x7fff12345678ull
#define CHECK if (fails) return fails
const char* cudaGetErrorName(int e) { return e == 2 ? "cudaErrorMemoryAllocation" : 0; }
int cudaGetDeviceCount(int* n) { CHECK; *n = 1; return 0; }
int cudaMalloc(void** p, size_t n) { CHECK; *p = malloc(n); return 0; }
int cudaMallocHost(void** p, size_t n) { CHECK; *p = malloc(n); return 0; }
int cudaFree(void* p) { CHECK; free(p); return 0; }
int cudaFreeHost(void* p) { CHECK; free(p); return 0; }
int cudaMemcpyAsync(void* to, const void* from, size_t n, int kind, void* stream) {
    CHECK; seen[0] = kind; seen[1] = (uint64_t)stream; memcpy(to, from, n); return 0; }
int cudaStreamCreateWithFlags(void** s, unsigned flags) {
    CHECK; seen[0] = flags; *s = (void*)HANDLE; return 0; }
int cudaStreamDestroy(void* s) { CHECK; seen[0] = (uint64_t)s; return 0; }
int cudaStreamSynchronize(void* s) { CHECK; seen[0] = (uint64_t)s; return 0; }
int cudaEventCreate(void** e) { CHECK; *e = (void*)(HANDLE + 1); return 0; }
int cudaEventDestroy(void* e) { CHECK; seen[0] = (uint64_t)e; return 0; }
int cudaEventRecord(void* e, void* s) {
    CHECK; seen[0] = (uint64_t)e; seen[1] = (uint64_t)s; return 0; }
int cudaEventElapsedTime(float* ms, void* a, void* b) {
    CHECK; seen[0] = (uint64_t)a; seen[1] = (uint64_t)b; *ms = 1.5f; return 0; }
int cudaStreamBeginCapture(void* s, int mode) {
    CHECK; seen[0] = (uint64_t)s; seen[1] = mode; return 0; }
int cudaStreamEndCapture(void* s, void** g) { CHECK; *g = (void*)(HANDLE + 2); return 0; }
int cudaGraphInstantiateWithFlags(void** x, void* g, unsigned long long flags) {
    CHECK; *x = (void*)((uint64_t)g + 1); return 0; }
int cudaGraphDestroy(void* g) { CHECK; seen[2] = (uint64_t)g; return 0; }
int cudaGraphLaunch(void* x, void* s) {
    CHECK; seen[0] = (uint64_t)x; seen[1] = (uint64_t)s; return 0; }
int cudaGraphExecDestroy(void* x) { CHECK; seen[0] = (uint64_t)x; return 0; }
"""
HANDLE = 0x7FFF12345678


@pytest.fixture(scope="module")
def libcudart(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a libcudart with")
    folder = tmp_path_factory.mktemp("cudart")
    (folder / "cudart.c").write_text(LIBCUDART)
    library = folder / "libcudart.so"
    command = [compiler, "-shared", "-fPIC", "-o", library, folder / "cudart.c"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


@pytest.fixture
def seen(libcudart):
    ctypes.c_int.in_dll(libcudart, "fails").value = 0
    return (ctypes.c_uint64 * 4).in_dll(libcudart, "seen")


@pytest.fixture
def cuda(libcudart, seen):
    return Cuda(library.LibraryApi(libcudart))


def test_what_is_copied_to_the_gpu_and_back_is_what_it_was(cuda):
    values = np.arange(10, dtype=np.float32)
    buffer = CudaBuffer(cuda, values.nbytes)
    buffer.view((10,), values.dtype)[:] = values
    cuda.copy_to_device(buffer.device, buffer.host, values.nbytes, HANDLE)
    buffer.view((10,), values.dtype)[:] = 0
    cuda.copy_to_host(buffer.host, buffer.device, values.nbytes, HANDLE)
    assert np.array_equal(buffer.view((2, 5), values.dtype), values.reshape(2, 5))
    buffer.close()


def test_copies_say_which_way_and_on_which_stream(cuda, seen):
    address = cuda.malloc(4)
    cuda.copy_to_device(address, address, 4, HANDLE)
    assert seen[:2] == [1, HANDLE]
    cuda.copy_to_host(address, address, 4, HANDLE)
    assert seen[:2] == [2, HANDLE]
    cuda.free(address)


def test_handles_keep_all_their_bits(cuda, seen):
    stream = cuda.create_stream()
    assert seen[0] == 1
    assert stream == HANDLE
    cuda.synchronize(stream)
    assert seen[0] == HANDLE
    event = cuda.create_event()
    cuda.record(event, stream)
    assert seen[:2] == [HANDLE + 1, HANDLE]
    assert cuda.elapsed_ms(event, event) == 1.5
    cuda.destroy_event(event)
    assert seen[0] == HANDLE + 1
    cuda.destroy_stream(stream)
    assert seen[0] == HANDLE


def test_a_capture_becomes_a_graph_that_can_be_launched(cuda, seen):
    with cuda.capture(HANDLE) as made:
        assert seen[:2] == [HANDLE, 1]
    assert made == [HANDLE + 3]
    assert seen[2] == HANDLE + 2, "the graph it was instantiated from is given back"
    cuda.launch(made[0], HANDLE)
    assert seen[:2] == [HANDLE + 3, HANDLE]
    cuda.destroy_graph(made[0])
    assert seen[0] == HANDLE + 3


def test_a_capture_that_fails_midway_is_ended_and_tells_the_first_fault(cuda, seen):
    with pytest.raises(EngineError, match="no kernel"), cuda.capture(HANDLE):
        raise EngineError("no kernel")
    assert seen[2] == HANDLE + 2


CALLS = {
    "cudaMalloc": lambda cuda: cuda.malloc(8),
    "cudaFree": lambda cuda: cuda.free(0),
    "cudaMallocHost": lambda cuda: cuda.malloc_host(8),
    "cudaFreeHost": lambda cuda: cuda.free_host(0),
    "cudaMemcpyAsync": lambda cuda: cuda.copy_to_device(0, 0, 0, 0),
    "cudaStreamCreateWithFlags": lambda cuda: cuda.create_stream(),
    "cudaStreamDestroy": lambda cuda: cuda.destroy_stream(0),
    "cudaStreamSynchronize": lambda cuda: cuda.synchronize(0),
    "cudaEventCreate": lambda cuda: cuda.create_event(),
    "cudaEventDestroy": lambda cuda: cuda.destroy_event(0),
    "cudaEventRecord": lambda cuda: cuda.record(0, 0),
    "cudaEventElapsedTime": lambda cuda: cuda.elapsed_ms(0, 0),
    "cudaStreamBeginCapture": lambda cuda: cuda.capture(0).__enter__(),
    "cudaGraphLaunch": lambda cuda: cuda.launch(0, 0),
    "cudaGraphExecDestroy": lambda cuda: cuda.destroy_graph(0),
}


@pytest.mark.parametrize("function", CALLS)
def test_every_failing_call_is_our_error_with_name_and_remedy(function, cuda, libcudart):
    ctypes.c_int.in_dll(libcudart, "fails").value = 2
    expected = rf"CUDA: {function} failed with cudaErrorMemoryAllocation \(2\); use a smaller"
    with pytest.raises(EngineError, match=expected):
        CALLS[function](cuda)


def test_an_error_that_the_library_cannot_name_is_told_by_number(cuda, libcudart):
    ctypes.c_int.in_dll(libcudart, "fails").value = 999
    with pytest.raises(EngineError, match=r"an unknown error \(999\)$"):
        cuda.malloc(8)


@needs_no_gpu
@pytest.mark.parametrize("function", CALLS)
def test_the_bindings_take_every_call_and_miss_the_driver_only(function):
    pytest.importorskip("cuda.bindings.runtime", reason="NVIDIA's bindings are not installed")
    cuda = Cuda(bindings.open_api())
    with pytest.raises(EngineError, match=rf"CUDA: {function} failed with cudaError\w+ \(35\)"):
        CALLS[function](cuda)


def test_every_function_of_cuda_is_declared_for_libcudart():
    source = inspect.getsource(Cuda)
    called = {name for name in source.split('"') if name.startswith("cuda")}
    assert called == library._FUNCTIONS.keys() - {"cudaGetDeviceCount"}


@needs_no_gpu
def test_without_a_driver_cuda_says_what_is_missing():
    with pytest.raises((EngineError, BackendMissingError), match=r"driver|pip install"):
        open_cuda()


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="no NVIDIA GPU answers here")
@pytest.mark.parametrize("backend", [bindings, library])
def test_on_a_gpu_both_ways_copy_and_keep_the_time(backend):
    cuda = Cuda(backend.open_api())
    stream, start, end = cuda.create_stream(), cuda.create_event(), cuda.create_event()
    values = np.arange(1 << 20, dtype=np.float32)
    buffer = CudaBuffer(cuda, values.nbytes)
    buffer.view(values.shape)[:] = values
    for _ in range(2):
        cuda.record(start, stream)
        with cuda.capture(stream) as made:
            cuda.copy_to_device(buffer.device, buffer.host, buffer.size, stream)
        cuda.launch(made[0], stream)
        cuda.synchronize(stream)
        buffer.view(values.shape)[:] = 0
        cuda.copy_to_host(buffer.host, buffer.device, buffer.size, stream)
        cuda.record(end, stream)
        cuda.synchronize(stream)
        cuda.destroy_graph(made[0])
        assert np.array_equal(buffer.view(values.shape), values)
    assert 0 < cuda.elapsed_ms(start, end) < 1000
    buffer.close()
    cuda.destroy_event(start)
    cuda.destroy_event(end)
    cuda.destroy_stream(stream)
