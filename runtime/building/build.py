"""Builds a TensorRT engine from the bytes of an ONNX file: one path for TensorRT 10.3, 11 and RTX.

Networks are strongly typed, always: the graph says in which precision each layer runs, and TensorRT
has no say in it. This is here and not in export because a device builds its engines without PyTorch
and without any ONNX library: TensorRT brings its own parser.

A build runs in a thread of its own, so that Ctrl-C reaches the thread that waits for it; TensorRT
then stops at its next step.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.building.make_config import make_config
from runtime.building.memory import activation_mib
from runtime.building.monitor import BuildWatch, Progress, make_monitor
from runtime.building.timing_cache import add_timings, timing_cache_file, use_timings
from runtime.cuda.gpu import Gpu, find_gpu
from runtime.engines.options import CURRENT_GPU, EngineOptions
from runtime.engines.tensorrt_module import TensorRt, load_tensorrt
from runtime.errors import EngineError, EngineMemoryError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["build"]

_NO_FLOAT32_PRODUCT = "FP32 GEMM is not supported"
"""What TensorRT-RTX 1.7 says of every classifier's last layer for SM 75."""


_NO_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|bad_alloc|cudaErrorMemory", re.I)


def _unseen(share: float, phase: str) -> None:
    """Show no progress."""


def build(
    onnx: bytes,
    options: EngineOptions,
    timings: Path | None = None,
    progress: Progress = _unseen,
) -> bytes:
    """Return the serialized engine ("plan") of a graph.

    Args:
        onnx: the ONNX file, weights within.
        options: what to build.
        timings: the folder in which timings of kernels are kept between builds; RTX has none.
        progress: called from another thread, many times a second.

    Raises:
        OptionError: if the profiles are not those of the graph.
        EngineMemoryError: if the memory does not suffice.
        EngineError: if it cannot be built on this machine, or TensorRT refuses the graph; then the
            nodes are named.
        BackendMissingError: if the library is not installed.
        KeyboardInterrupt: after TensorRT has stopped.
    """
    gpu = find_gpu()
    check_machine(options, gpu)
    library = load_tensorrt(options.flavour)
    library.errors.clear()
    trt = library.module
    builder = _make_builder(library)
    # 1 << the enum, not a number: the bit moved between TensorRT 10 and 11.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    # The parser owns the weights: it has to outlive the build.
    parser = trt.OnnxParser(network, library.logger)
    _parse(parser, network, onnx)
    config = make_config(library, builder, network, options)
    if timings is None or gpu is None or options.flavour == "tensorrt_rtx":
        return _run(library, builder, network, config, progress)
    cache = timing_cache_file(timings, library, gpu)
    use_timings(cache, config)
    plan = _run(library, builder, network, config, progress)
    add_timings(cache, config)
    return plan


def check_machine(options: EngineOptions, gpu: Gpu | None) -> None:
    """Return if the options can be fulfilled where that GPU is; ask before any long work.

    Raises:
        EngineError: if they need a GPU, or one with more memory.
    """
    if gpu is not None and options.flavour == "tensorrt":
        largest = max((activation_mib(profile) for profile in options.profiles), default=0)
        if largest > gpu.memory_mib:
            raise EngineError(
                f"the profiles need about {largest:,} MiB for activations, and the {gpu.name} has "
                f"{gpu.memory_mib:,} MiB. Lower the largest batch or image size"
            )
    elif gpu is None and options.flavour == "tensorrt":
        raise EngineError(
            "TensorRT builds an engine on the GPU that will run it, and no NVIDIA GPU answers "
            "here. Build on the device: python -m runtime build BUNDLE; for RTX cards, here: --rtx"
        )
    elif gpu is None and CURRENT_GPU in options.target_sms:
        raise EngineError(
            "target: given current, and no NVIDIA GPU answers here; expected sm86 or the like"
        )
    elif gpu is None and (options.refit or options.strip_weights):
        raise EngineError(
            "TensorRT-RTX builds engines whose weights can be replaced only where a GPU is, and no "
            "NVIDIA GPU answers here. Build on the device, or keep the weights in the engine"
        )


def _make_builder(library: TensorRt) -> tensorrt.Builder:
    trt = library.module
    try:
        return trt.Builder(library.logger)
    except TypeError:  # a null pointer, as the bindings put it
        raise EngineError(
            f"{library.flavour} {library.version} does not start: {library.take_errors()}"
        ) from None


def _parse(parser: tensorrt.OnnxParser, network: tensorrt.INetworkDefinition, onnx: bytes) -> None:
    if not parser.parse(onnx):
        errors = [_describe(parser.get_error(index)) for index in range(parser.num_errors)]
        raise EngineError(f"TensorRT does not take this graph: {'; '.join(errors)}")
    if network.num_inputs != 1 or network.num_outputs != 1:  # of an empty file: none at all
        raise EngineError(
            f"the graph has {network.num_inputs} inputs and {network.num_outputs} outputs; "
            "expected one of each, as of a classifier of images"
        )


def _describe(error: tensorrt.ParserError) -> str:
    reason = " ".join(error.desc().split()).removeprefix("Assertion failed: ")
    if not error.node_operator():  # the file as a whole
        return reason
    return f"{error.node_operator()} '{error.node_name()}': {reason}"


def _run(
    library: TensorRt,
    builder: tensorrt.Builder,
    network: tensorrt.INetworkDefinition,
    config: tensorrt.IBuilderConfig,
    progress: Progress,
) -> bytes:
    watch = BuildWatch(progress)
    monitor = make_monitor(library.module, watch)
    config.progress_monitor = monitor
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            plan = thread.submit(builder.build_serialized_network, network, config).result()
        except KeyboardInterrupt:
            watch.cancelled = True
            raise
    if watch.failure is not None:
        raise watch.failure
    if plan is None:
        reason = library.take_errors()
        if _NO_MEMORY.search(reason):
            raise EngineMemoryError(f"too little memory to build this engine: {reason}")
        remedy = "; for Turing, build the float16 variant" if _NO_FLOAT32_PRODUCT in reason else ""
        raise EngineError(f"TensorRT cannot build this engine: {reason}{remedy}")
    return bytes(memoryview(plan))
