"""Loads a checked engine into TensorRT, and puts back weights that were left out of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runtime.engines.engine import EngineInfo
from runtime.engines.tensorrt_module import TensorRt
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt

__all__ = ["load_engine"]


def load_engine(
    library: TensorRt, plan: bytes, info: EngineInfo, onnx: bytes | None = None
) -> tensorrt.ICudaEngine:
    """Return the engine in TensorRT.

    Args:
        library: of the flavour that built it.
        plan: the serialized engine, which `check_plan` found to be the one described.
        info: its description.
        onnx: the ONNX file it was built from, for an engine without weights.

    Raises:
        EngineError: if TensorRT cannot load it, or its weights cannot be put back.
    """
    trt = library.module
    library.errors.clear()
    runtime = trt.Runtime(library.logger)
    # TensorRT's own default, stated because it matters: no engine brings code for the processor.
    runtime.engine_host_code_allowed = False
    if info.options.version_compatible:
        runtime = _load_lean(runtime, library, info)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(f"TensorRT cannot load this engine: {library.take_errors()}")
    if info.options.strip_weights:
        _put_weights_back(library, engine, info, onnx)
    return engine


def _load_lean(runtime: tensorrt.Runtime, library: TensorRt, info: EngineInfo) -> tensorrt.Runtime:
    """Return the lean runtime of the version that built the engine: our engines never carry it."""
    name = f"libnvinfer_lean.so.{info.version.split('.')[0]}"
    lean = runtime.load_runtime(name)
    if lean is None:
        raise EngineError(
            f"an engine of another TensorRT version needs {name}: {library.take_errors()}"
        )
    return lean


def _put_weights_back(
    library: TensorRt, engine: tensorrt.ICudaEngine, info: EngineInfo, onnx: bytes | None
) -> None:
    if onnx is None or hashlib.sha256(onnx).hexdigest() != info.onnx_sha256:
        raise EngineError(
            "the engine holds no weights; expected with it the ONNX file it was built from, of "
            f"SHA-256 {info.onnx_sha256[:12]}"
        )
    trt = library.module
    refitter = trt.Refitter(engine, library.logger)
    parser = trt.OnnxParserRefitter(refitter, library.logger)
    if not parser.refit_from_bytes(onnx) or not refitter.refit_cuda_engine():
        missing = ", ".join(refitter.get_missing_weights()[:3])
        raise EngineError(
            f"the weights cannot be put back into the engine: {library.take_errors()}"
            + (f"; it lacks {missing}" if missing else "")
        )
