"""Makes an engine whole: builds it, proves its precision where a GPU can, and describes it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.building.build import build
from runtime.building.monitor import Progress
from runtime.cuda.gpu import find_gpu
from runtime.engines.engine import EngineInfo, describe_engine
from runtime.engines.inspector import inspect_engine, read_precision
from runtime.engines.io_tensors import read_io
from runtime.engines.load_engine import load_engine
from runtime.engines.options import EngineOptions
from runtime.engines.profile import Shape
from runtime.engines.tensorrt_module import load_tensorrt
from runtime.precision import PrecisionPromise, judge_precision, shares

__all__ = ["MadeEngine", "make_engine"]


@dataclass(frozen=True, kw_only=True)
class MadeEngine:
    """An engine that was just built."""

    plan: bytes
    """What TensorRT serialized."""
    info: EngineInfo
    note: str
    """What the person must be told of its precision; empty where it is proven."""


def make_engine(
    onnx: bytes,
    promise: PrecisionPromise,
    options: EngineOptions,
    timings: Path | None = None,
    progress: Progress = lambda share, phase: None,
) -> MadeEngine:
    """Return an engine and its description, ready to be saved.

    Args:
        onnx: the ONNX file, as it lies in the bundle.
        promise: how much of its work the graph says is in which precision.
        options: what to build.
        timings: the folder in which timings of kernels are kept between builds; RTX has none.
        progress: called from another thread, many times a second.

    Raises:
        VerdictError: if the engine does not run in the precision of its graph.
        DeployError: as `build`.
    """
    start = time.perf_counter()
    plan = build(onnx, options, timings, progress)
    seconds = time.perf_counter() - start
    version = load_tensorrt(options.flavour).version
    info = describe_engine(plan, onnx, options, version, shares(promise.macs), seconds)
    gpu = find_gpu()
    if gpu is None or gpu.sm not in info.target_sms:
        note = "its precision is what the graph says: no GPU it was built for is here to prove it"
        return MadeEngine(plan=plan, info=info, note=note)
    info, note = _prove(plan, info, onnx, promise)
    return MadeEngine(plan=plan, info=info, note=note)


def _prove(
    plan: bytes, info: EngineInfo, onnx: bytes, promise: PrecisionPromise
) -> tuple[EngineInfo, str]:
    library = load_tensorrt(info.flavour)
    engine = load_engine(library, plan, info, onnx)
    profile = read_io(library, engine).profiles[0]
    batch, planes, _, values = profile.tuned
    size = (promise.height, promise.width)
    shapes: list[Shape] = [(batch, planes, *size), (batch, *size, values)]  # NCHW, NHWC
    shape = next(filter(profile.accepts, shapes), None)
    if shape is None:
        shown = "x".join(map(str, size))
        return info, f"its precision is what the graph says: it takes no image of {shown}"
    found = read_precision(inspect_engine(library, engine, shape))
    note = judge_precision(promise, found)
    return info if note else replace(info, precision=shares(found), inspected=True), note
