"""Describes a graph as the manifest does: what it takes and gives, and what runs how."""

from __future__ import annotations

from typing import TypeAlias

import onnx_ir as ir

from export.promise_precision import count_work, promise_precision
from export.quantization.check_quantized import check_quantized
from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.precision import PrecisionPromise
from runtime.variant import TensorInfo, Variant

__all__ = ["describe_variant"]

_Size: TypeAlias = tuple[int, int]
"""Height and width of an image."""


def describe_variant(
    graph: ir.Model, side: int, pixels: str, golden_tolerances: tuple[float, ...]
) -> Variant:
    """Return what the manifest says of a graph; the file and the precision are the caller's to set.

    Args:
        graph: of a variant.
        side: of the model's own images, which a graph of a fixed shape need not take.
        pixels: the layout, if it takes pixels; "" if it takes normalised images.
        golden_tolerances: one for each golden case.
    """
    opset = graph.opset_imports[""]
    assert opset is not None
    size = _size(graph, side, pixels or "NCHW")
    return Variant(
        file="model.onnx",
        precision="float32",
        opset=opset,
        input=_tensor(graph.graph.inputs[0]),
        output=_tensor(graph.graph.outputs[0]),
        more_outputs=tuple(_tensor(value) for value in graph.graph.outputs[1:]),
        golden_tolerances=golden_tolerances,
        convolutions=_convolutions(graph, size),
        work=count_work(graph, *size),
    )


def _size(graph: ir.Model, side: int, layout: str) -> _Size:
    shape = graph.graph.inputs[0].shape
    assert shape is not None
    sides = [size for axis, size in enumerate(shape) if axis not in (0, CHANNEL_AXES[layout])]
    height, width = (size if isinstance(size, int) else side for size in sides)
    return height, width


def _convolutions(graph: ir.Model, size: _Size) -> PrecisionPromise | None:
    """Return what an engine is held to; None where TensorRT would misread the graph."""
    if len(graph.graph.outputs) != 1:  # an engine of ours is a classifier
        return None
    try:
        check_quantized(graph)
    except OptionError:
        return None
    return promise_precision(graph, *size)


def _tensor(value: ir.Value) -> TensorInfo:
    dims = value.shape or ()
    return TensorInfo(
        name=str(value.name),
        dtype=str(value.dtype).lower(),
        shape=tuple(str(d.value if isinstance(d, ir.SymbolicDim) else d) for d in dims),
    )
