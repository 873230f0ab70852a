"""Builds a TensorRT engine from a graph.

The work is done by `runtime.building.make_engine`, which devices use too and which knows bytes
only: they have TensorRT's own parser, and no ONNX library. What a graph can be asked is asked here,
once: whether TensorRT reads its quantization as ONNX means it, and what runs in which precision.
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from export.promise_precision import promise_precision
from export.quantization.check_quantized import check_quantized
from runtime.building.make_engine import MadeEngine, make_engine
from runtime.building.monitor import Progress
from runtime.engines.options import EngineOptions

__all__ = ["build"]


def build(
    graph: ir.Model,
    onnx: bytes,
    side: int,
    options: EngineOptions,
    timings: Path | None = None,
    progress: Progress = lambda share, phase: None,
) -> MadeEngine:
    """Return the engine of a graph, its description, and what is to be said of its precision.

    Args:
        graph: a simplified classifier in its precision.
        onnx: the same as the file that goes into the bundle.
        side: of the model's own images, in pixels.
        options: what to build.
        timings: the folder in which timings of kernels are kept between builds; RTX has none.
        progress: called from another thread, many times a second.

    Raises:
        OptionError: if the graph is quantized as TensorRT does not read it, or the profiles are not
            those of the graph.
        VerdictError: if the engine does not run in the precision of its graph.
        EngineError: if it cannot be built on this machine, or TensorRT refuses the graph.
        BackendMissingError: if the library is not installed.
    """
    check_quantized(graph)
    return make_engine(onnx, promise_precision(graph, side, side), options, timings, progress)
