"""The runner on a CUDA and a TensorRT that live in the processor's memory.

They are real code. Memory is memory; a copy or a kernel that was queued runs when its stream is
waited for, not before, and reads what then stands there. Freed memory, an unknown handle, a context
that changed under its graph: each is the fault that it would be on a GPU. What the runner touches
of the real TensorRT is checked elsewhere, against its bindings.
"""

import ctypes
import gc
import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.cuda.cuda import Cuda, cuda_error
from runtime.cuda.gpu import find_gpu
from runtime.engines.profile import Profile
from runtime.engines.session import EngineSession
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError
from runtime.tensorrt_runner import TensorRtRunner

NAMES = {2: "cudaErrorMemoryAllocation", 400: "cudaErrorInvalidResourceHandle"}
NAMES |= {700: "cudaErrorIllegalAddress", 900: "cudaErrorStreamCaptureUnsupported"}


class HostCuda:
    """A CudaApi whose GPU is the processor."""

    def __init__(self):
        self.calls = []
        self.fail = {}  # function -> code
        self.held = {}  # address or handle -> what it is
        self.captured = None
        self._handles = iter(range(1, 1_000_000))
        self._clock = 0

    def call(self, function, *arguments):
        self.calls.append((function, *arguments))
        if function in self.fail:
            raise self.error(function, self.fail[function])
        return getattr(self, function)(*arguments) or 0

    def error(self, function, code):
        return cuda_error(function, code, NAMES[code])

    def count(self, function):
        return sum(call[0] == function for call in self.calls)

    def queue(self, stream, work):
        """What TensorRT does: put a kernel into a stream."""
        (self.captured if self.captured is not None else self._get(stream)).append(work)

    def memory(self, address, size):
        """The memory of a live allocation, or the fault of touching anything else."""
        if address not in self.held or len(self.held[address]) < size:
            raise self.error("cudaStreamSynchronize", 700)
        return self.held[address]

    def _get(self, handle):
        if handle not in self.held:
            raise self.error("a function", 400)
        return self.held[handle]

    def _hold(self, value):
        handle = next(self._handles)
        self.held[handle] = value
        return handle

    def _release(self, handle):
        self._get(handle)
        del self.held[handle]

    def cudaMalloc(self, size):
        memory = (ctypes.c_ubyte * size)(*b"\xff" * min(size, 64))  # not a number, in float32
        self.held[ctypes.addressof(memory)] = memory
        return ctypes.addressof(memory)

    cudaMallocHost = cudaMalloc
    cudaFree = cudaFreeHost = cudaStreamDestroy = cudaEventDestroy = cudaGraphDestroy = _release
    cudaGraphExecDestroy = _release

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        def copy():
            # A result that outgrew every buffer is fetched into memory that is not CUDA's.
            for address in (source,) if kind == 2 and to not in self.held else (to, source):
                self.memory(address, size)
            ctypes.memmove(to, source, size)

        self.queue(stream, copy)

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == 1, "the default stream would wait for it"
        return self._hold([])

    def cudaStreamSynchronize(self, stream):
        queued = self._get(stream)
        while queued:
            queued.pop(0)()

    def cudaEventCreate(self):
        return self._hold({})

    def cudaEventRecord(self, event, stream):
        moment = self._get(event)

        def happen():
            self._clock += 1
            moment["at"] = self._clock

        self.queue(stream, happen)

    def cudaEventElapsedTime(self, start, end):
        return float(self._get(end)["at"] - self._get(start)["at"])

    def cudaStreamBeginCapture(self, stream, mode):
        self._get(stream)
        self.captured = []

    def cudaStreamEndCapture(self, stream):
        captured, self.captured = self.captured, None
        return self._hold(captured)

    def cudaGraphInstantiateWithFlags(self, graph, flags):
        return self._hold(list(self._get(graph)))

    def cudaGraphLaunch(self, graph, stream):
        for work in self._get(graph):
            self.queue(stream, work)


class Allocator:
    """The base class that TensorRT's bindings offer."""


TRT = SimpleNamespace(
    TensorIOMode=SimpleNamespace(INPUT="input", OUTPUT="output"),
    DataType=SimpleNamespace(FLOAT="float32", HALF="float16", UINT8="uint8"),
    ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="ours"),
    CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"),
    IOutputAllocator=Allocator,
)


class HostEngine:
    """An engine whose logits are the mean and the sum of each image."""

    num_io_tensors = 2
    device_memory_size_v2 = 1024

    def __init__(self, api, *profiles, open_ended=False, dtype="float32", layout="NCHW"):
        self.api = api
        self.profiles = profiles
        self.open_ended = open_ended
        self.dtype = dtype
        self.layout = layout
        self.contexts = []
        self.refuses = False
        self.num_optimization_profiles = len(profiles)

    def get_tensor_name(self, index):
        return ("images", "logits")[index]

    def get_tensor_mode(self, name):
        return {"images": "input", "logits": "output"}[name]

    def get_tensor_dtype(self, name):
        return "float32" if (name, self.dtype) == ("logits", "uint8") else self.dtype

    def get_tensor_shape(self, name):
        return (-1, 3, -1, -1) if self.layout == "NCHW" else (-1, -1, -1, 3)

    def get_tensor_profile_shape(self, name, index):
        profile = self.profiles[index]
        return [profile.smallest, profile.tuned, profile.largest]

    def create_execution_context(self, how):
        self.contexts.append(HostContext(self, how))
        return self.contexts[-1]

    def create_runtime_config(self):
        return HostConfig()


class HostConfig:
    cuda_graph_strategy = None

    def create_runtime_cache(self):
        return HostCache()

    def set_runtime_cache(self, cache):
        self.cache = cache


class HostCache:
    def __init__(self):
        self.content = b"compiled"

    def deserialize(self, data):
        self.content = data if data.startswith(b"compiled") else self.content
        return data.startswith(b"compiled")

    def serialize(self):
        return self.content


class HostContext:
    def __init__(self, engine, how):
        self.engine = engine
        self.how = how
        self.profile = None
        self.shape = None
        self.addresses = {}
        self.allocator = None
        self.memory = None

    def set_device_memory(self, address, size):
        assert size >= self.engine.device_memory_size_v2
        self.memory = address

    def set_optimization_profile_async(self, profile, stream):
        self.profile = self.engine.profiles[profile]
        return True

    def set_input_shape(self, name, shape):
        if not self.profile.accepts(shape):
            return False
        self.shape = shape
        return True

    def infer_shapes(self):
        return []

    def get_tensor_shape(self, name):
        return (-1 if self.engine.open_ended else self.shape[0], 2)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def set_output_allocator(self, name, allocator):
        self.allocator = allocator

    def execute_async_v3(self, stream):
        api, shape, known = self.engine.api, self.shape, dict(self.addresses)
        addresses = dict(known)
        if self.engine.refuses:
            return False
        if self.allocator is not None:
            size = shape[0] * 8
            addresses["logits"] = self.allocator.reallocate_output_async(
                "logits", 0, size, 1, stream
            )
            if not addresses["logits"]:
                return False
            self.allocator.notify_shape("logits", (shape[0], 2))

        def kernel():
            if (self.shape, self.addresses) != (shape, known):
                raise api.error("cudaStreamSynchronize", 700)
            if self.how == "ours":
                api.memory(self.memory, 1024)
            count, dtype = math.prod(shape), np.dtype(self.engine.dtype)
            memory = api.memory(addresses["images"], count * dtype.itemsize)
            pixels = np.frombuffer(memory, dtype, count)
            pixels = pixels.reshape(shape[0], -1)
            logits = np.stack([pixels.mean(1), pixels.sum(1)], axis=1).astype(np.float32)
            ctypes.memmove(addresses["logits"], logits.tobytes(), logits.nbytes)
            api.memory(addresses["logits"], shape[0] * 8)

        api.queue(stream, kernel)
        return True


def profile(smallest, largest, side=8):
    return Profile(
        smallest=(smallest, 3, side, side),
        tuned=(largest, 3, side, side),
        largest=(largest, 3, side, side),
    )


ANY_SIZE = Profile(smallest=(1, 3, 4, 4), tuned=(4, 3, 8, 8), largest=(4, 3, 16, 16))


@pytest.fixture
def api():
    return HostCuda()


@pytest.fixture
def open_runner(api, tmp_path):
    runners = []

    def make(*profiles, flavour="tensorrt", **engine):
        library = TensorRt(flavour, "10.3.0", TRT, None, [])
        host = HostEngine(api, *(profiles or (profile(1, 4),)), **engine)
        session = EngineSession(library, host, Cuda(api), tmp_path / "fp32.plan.compiled")
        runners.append(TensorRtRunner(session, f"{flavour} 10.3.0"))
        runners[-1].engine = host
        return runners[-1]

    yield make
    api.fail.clear()
    for runner in runners:
        runner.close()


def images(batch, side=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((batch, 3, side, side), dtype=np.float32)


def truth(batch):
    pixels = batch.reshape(len(batch), -1)
    return np.stack([pixels.mean(1), pixels.sum(1)], axis=1)


def check(runner, batch):
    np.testing.assert_allclose(runner.logits(batch), truth(batch), atol=1e-4)


def test_logits_come_back_a_row_an_image(open_runner):
    runner = open_runner()
    check(runner, images(3))
    assert runner.name == "tensorrt 10.3.0"
    assert runner.notes == ()


def test_the_answer_is_the_callers_to_keep(open_runner):
    runner = open_runner()
    first = runner.logits(images(4, seed=1))
    kept = first.copy()
    runner.logits(images(4, seed=2))
    assert np.array_equal(first, kept)


def test_images_need_not_lie_in_one_piece(open_runner):
    batch = images(4, side=8).transpose(0, 1, 3, 2)[::2]
    assert not batch.flags.c_contiguous
    check(open_runner(), batch)


@pytest.mark.parametrize("count", [1, 4, 5, 11])
def test_more_images_than_a_batch_are_split_and_stay_in_order(open_runner, count):
    check(open_runner(), images(count))


@pytest.mark.parametrize("count", [1, 7, 8, 9])
def test_fewer_images_than_the_smallest_batch_are_filled_up(open_runner, count):
    runner = open_runner(profile(8, 8))
    check(runner, images(count))


def test_the_profile_that_takes_the_images_in_the_fewest_runs_is_chosen(open_runner):
    runner = open_runner(profile(1, 2), profile(1, 8), profile(1, 64))
    for count, largest in ((1, 2), (2, 2), (3, 8), (8, 8), (9, 64)):
        check(runner, images(count))
        assert runner.engine.contexts[-1].profile.largest[0] == largest


@pytest.mark.parametrize(
    ("batch", "given"), [(images(1, side=32), "1x3x32x32"), (images(2)[:, :1], "2x1x8x8")]
)
def test_images_outside_every_profile_are_refused_with_the_ranges(open_runner, batch, given):
    with pytest.raises(
        EngineError, match=f"given images {given}; .* 1x3x4x4 to 4x3x16x16, 1x3x8x8"
    ):
        open_runner(ANY_SIZE, profile(1, 64)).logits(batch)


@pytest.mark.parametrize(
    "batch", [images(1).astype(np.float64), images(1)[0], np.zeros((0, 3, 8, 8), np.float32)]
)
def test_what_is_no_batch_of_float32_images_is_refused(open_runner, batch):
    with pytest.raises(EngineError, match="given images"):
        open_runner().logits(batch)


def test_the_second_run_of_a_shape_is_captured_and_later_ones_only_launched(api, open_runner):
    runner = open_runner(ANY_SIZE)
    counts = []
    for seed in range(4):
        check(runner, images(2, seed=seed))
        counts.append((api.count("cudaStreamBeginCapture"), api.count("cudaGraphLaunch")))
    assert counts == [(0, 0), (1, 1), (1, 2), (1, 3)]
    check(runner, images(2, side=16))
    assert api.count("cudaStreamBeginCapture") == 1


def test_every_shape_keeps_its_own_graph_and_context(api, open_runner):
    runner = open_runner(ANY_SIZE)
    check(runner, images(4, side=16))  # the largest first, so that no buffer has to grow
    for _ in range(3):
        for count, side in ((1, 8), (2, 8), (2, 16)):
            check(runner, images(count, side))
    assert api.count("cudaStreamBeginCapture") == 3
    assert len(runner.engine.contexts) == 4


def test_buffers_are_used_again_and_grow_only_when_they_must(api, open_runner):
    runner = open_runner(ANY_SIZE)
    for _ in range(3):
        check(runner, images(4))
    allocations = api.count("cudaMalloc")
    check(runner, images(2))
    assert api.count("cudaMalloc") == allocations
    check(runner, images(4, side=16))
    assert api.count("cudaMalloc") == allocations + 1  # the images; the logits fit


def test_a_graph_does_not_outlive_the_buffers_it_knows(api, open_runner):
    runner = open_runner(ANY_SIZE)
    for _ in range(3):
        check(runner, images(2))
    check(runner, images(4, side=16))
    for seed in range(3):
        check(runner, images(2, seed=seed))
    assert api.count("cudaStreamBeginCapture") == 2
    assert api.count("cudaGraphExecDestroy") == 1


def test_many_shapes_do_not_pile_up(api, open_runner):
    runner = open_runner(Profile(smallest=(1, 3, 4, 4), tuned=(1, 3, 8, 8), largest=(1, 3, 64, 64)))
    for side in [*range(30, 4, -1)] * 2:
        for _ in range(2):
            check(runner, images(1, side))
    assert api.count("cudaStreamBeginCapture") - api.count("cudaGraphExecDestroy") <= 8


def test_a_shape_that_cannot_be_captured_runs_without_a_graph_and_says_so(api, open_runner, caplog):
    runner = open_runner()
    api.fail["cudaGraphInstantiateWithFlags"] = 900
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            check(runner, images(2))
    assert caplog.text.count("running without a CUDA graph") == 1
    assert "cudaErrorStreamCaptureUnsupported" in caplog.text


def test_logits_whose_shape_is_known_only_afterwards_are_fetched(api, open_runner):
    runner = open_runner(open_ended=True)
    for count in (1, 4, 2, 9):
        check(runner, images(count))
    assert api.count("cudaStreamBeginCapture") == 0


def test_no_memory_for_such_logits_is_our_error_and_not_tensorrts(api, open_runner):
    runner = open_runner(open_ended=True)
    check(runner, images(1))
    api.fail["cudaMalloc"] = 2
    with pytest.raises(EngineError, match="cudaMalloc failed with cudaErrorMemoryAllocation"):
        runner.logits(images(1).repeat(2, axis=0))


def test_the_time_on_the_gpu_is_known_after_a_run(open_runner):
    runner = open_runner()
    runner.logits(images(2))
    assert runner.device_ms > 0


def test_closing_gives_everything_back_and_a_second_time_does_nothing(api, open_runner):
    runner = open_runner(ANY_SIZE)
    for count in (1, 1, 1, 4, 4):
        runner.logits(images(count))
    runner.close()
    assert not api.held
    runner.close()


def test_leaving_or_losing_a_runner_gives_everything_back(api, tmp_path):
    library = TensorRt("tensorrt", "10.3.0", TRT, None, [])

    def make():
        session = EngineSession(library, HostEngine(api, ANY_SIZE), Cuda(api), tmp_path / "c")
        return TensorRtRunner(session, "lost")

    with make() as runner:
        runner.logits(images(2))
    assert not api.held
    make().logits(images(2))
    gc.collect()
    assert not api.held


CALLS_OF_A_RUN = (
    "cudaStreamCreateWithFlags",
    "cudaEventCreate",
    "cudaMalloc",
    "cudaMallocHost",
    "cudaMemcpyAsync",
    "cudaEventRecord",
    "cudaStreamSynchronize",
    "cudaGraphLaunch",
)


@pytest.mark.parametrize("function", CALLS_OF_A_RUN)
def test_whatever_fails_in_cuda_is_our_error_and_leaves_nothing_behind(api, tmp_path, function):
    library = TensorRt("tensorrt", "10.3.0", TRT, None, [])
    api.fail[function] = 2
    with pytest.raises(EngineError, match=f"{function} failed .* use a smaller --batch"):  # noqa: PT012
        session = EngineSession(library, HostEngine(api, ANY_SIZE), Cuda(api), tmp_path / "c")
        with TensorRtRunner(session, "failing") as runner:
            for _ in range(3):
                runner.logits(images(2))
    assert not api.held


def test_a_fault_of_the_gpu_shows_when_the_stream_is_waited_for(api, open_runner):
    runner = open_runner()
    runner.logits(images(2))
    api.fail["cudaStreamSynchronize"] = 700
    with pytest.raises(EngineError, match=r"cudaErrorIllegalAddress \(700\); .* build it again"):
        runner.logits(images(2))


def test_a_runner_works_again_once_there_is_memory_again(api, open_runner):
    runner = open_runner(ANY_SIZE)
    for _ in range(3):
        check(runner, images(1))
    api.fail["cudaMallocHost"] = 2
    with pytest.raises(EngineError, match="cudaErrorMemoryAllocation"):
        runner.logits(images(4))
    api.fail.clear()
    check(runner, images(4))
    check(runner, images(1))


def test_a_refusal_of_tensorrt_is_our_error_with_its_reason(open_runner):
    runner = open_runner()
    runner.engine.refuses = True
    runner._session._library.errors.append("no kernel image for this GPU")
    with pytest.raises(EngineError, match="no kernel image for this GPU"):
        runner.logits(images(2))


@pytest.mark.parametrize("engine", [{"dtype": "float16"}])
def test_an_engine_that_is_no_float32_classifier_is_refused(open_runner, engine):
    with pytest.raises(EngineError, match="expected one input of float32 or uint8, and one output"):
        open_runner(**engine)


def test_tensorrt_rtx_keeps_one_context_a_profile_and_its_own_graphs(api, open_runner):
    runner = open_runner(ANY_SIZE, flavour="tensorrt_rtx")
    for count, side in ((1, 8), (2, 8), (2, 16), (1, 8)):
        check(runner, images(count, side))
    assert len(runner.engine.contexts) == 1
    assert runner.engine.contexts[0].how.cuda_graph_strategy == "whole"
    assert api.count("cudaStreamBeginCapture") == 0


def test_what_tensorrt_rtx_compiled_is_kept_beside_the_engine(open_runner, tmp_path):
    kept = tmp_path / "fp32.plan.compiled"
    runner = open_runner(flavour="tensorrt_rtx")
    runner.close()
    assert kept.read_bytes() == b"compiled"
    kept.write_bytes(b"compiled before")
    runner = open_runner(flavour="tensorrt_rtx")
    assert runner._session._contexts._cache.content == b"compiled before"


def test_what_another_driver_compiled_is_replaced(open_runner, tmp_path):
    kept = tmp_path / "fp32.plan.compiled"
    kept.write_bytes(b"of another driver")
    open_runner(flavour="tensorrt_rtx").close()
    assert kept.read_bytes() == b"compiled"


def test_a_folder_that_cannot_be_written_costs_time_only(open_runner, tmp_path, caplog):
    runner = open_runner(flavour="tensorrt_rtx")
    check(runner, images(1))
    tmp_path.rename(tmp_path.with_name("moved"))
    runner.close()
    assert "cannot keep compiled kernels" in caplog.text


@pytest.mark.skipif(find_gpu() is not None, reason="a GPU answers here")
def test_without_a_gpu_an_engine_is_refused_before_any_library_is_loaded(tmp_path):
    from runtime.engines.engine import describe_engine
    from runtime.engines.options import EngineOptions

    plan = b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + bytes(100)
    info = describe_engine(plan, b"", EngineOptions(), "10.3.0", {}, 1.0)
    with pytest.raises(EngineError, match="needs an NVIDIA GPU, and none answers"):
        TensorRtRunner.open(plan, info, tmp_path / "fp32.plan")
    with pytest.raises(EngineError, match="content is"):
        TensorRtRunner.open(plan[:-1], info, tmp_path / "fp32.plan")


PIXELS = Profile(smallest=(2, 8, 8, 3), tuned=(4, 8, 8, 3), largest=(4, 16, 16, 3))


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_pixels_are_copied_as_the_bytes_they_are(api, open_runner, count):
    runner = open_runner(PIXELS, dtype="uint8", layout="NHWC")
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    np.testing.assert_allclose(runner.logits(pixels), truth(pixels), rtol=1e-6)
    copies = [call for call in api.calls if call[0] == "cudaMemcpyAsync" and call[4] == 1]
    assert {call[3] for call in copies} <= {8 * 8 * 3 * n for n in (2, 3, 4)}


def test_an_engine_of_pixels_refuses_normalised_images_and_the_other_way_round(open_runner):
    with pytest.raises(EngineError, match="expected uint8 in 4 dimensions, pixels of 0 to 255"):
        open_runner(PIXELS, dtype="uint8", layout="NHWC").logits(images(1))
    with pytest.raises(EngineError, match="expected float32 in 4 dimensions, normalised images"):
        open_runner().logits(np.zeros((1, 3, 8, 8), np.uint8))
