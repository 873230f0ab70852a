"""In which precision a graph's layers run: by layer, and as the promise an engine is held to.

A graph carries its precision. A convolution runs in int8 where both its images and its weights come
out of a DequantizeLinear, and else in the type of its weights. Multiply-accumulates of one image
are its weights times the pixels of its output.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.onnx_files.metadata_props import PIXELS_PROP
from runtime.precision import LayerWork, PrecisionPromise, Work, shares

__all__ = ["count_work", "promise_precision"]

_INTEGERS = (ir.DataType.INT8, ir.DataType.UINT8)


def promise_precision(graph: ir.Model, height: int, width: int) -> PrecisionPromise:
    """Return how much of the graph's convolutions runs in which precision.

    Args:
        graph: a classifier; it is left as it is.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Raises:
        OptionError: if the graph does not take images of that size.
    """
    macs: dict[str, int] = {}
    for node, precision, count in _layers(graph, height, width):
        if node.op_type == "Conv":
            macs[precision] = macs.get(precision, 0) + count
    return PrecisionPromise(height=height, width=width, macs=macs)


def count_work(graph: ir.Model, height: int, width: int) -> Work:
    """Return what every convolution and matrix product of the graph costs, in which precision.

    Args:
        graph: of a variant; it is left as it is.
        height: of the image, in pixels.
        width: of the image, in pixels.

    Raises:
        OptionError: if the graph does not take images of that size.
    """
    counted = {
        str(node.name): (precision, count)
        for node, precision, count in _layers(graph, height, width)
    }
    total = sum(count for _, count in counted.values())
    macs: dict[str, int] = {}
    for precision, count in counted.values():
        macs[precision] = macs.get(precision, 0) + count
    return Work(
        height=height,
        width=width,
        shares=shares(macs),
        layers={
            name: LayerWork(precision=precision, macs=count, share=count / total)
            for name, (precision, count) in counted.items()
        },
    )


def _layers(graph: ir.Model, height: int, width: int) -> Iterator[tuple[ir.Node, str, int]]:
    """Yield each convolution and matrix product, its precision and its multiply-accumulates."""
    for node in _with_shapes(graph, height, width):
        if node.op_type == "Gemm":
            yield node, _precision(node), _size(node.inputs[1])
        elif node.op_type == "Conv":
            pixels = node.outputs[0].shape
            if pixels is None or not pixels.is_static() or min(pixels.numpy()) < 1:
                raise OptionError(
                    f"image size: given {height}x{width}; expected one that '{node.name}' can take"
                )
            yield node, _precision(node), _size(node.inputs[1]) * math.prod(pixels.numpy()[2:])


def _size(weights: ir.Value | None) -> int:
    assert weights is not None
    assert weights.shape is not None
    return math.prod(weights.shape.numpy())


def _with_shapes(graph: ir.Model, height: int, width: int) -> ir.Graph:
    sized = graph.clone()
    images = sized.graph.inputs[0]
    axis = CHANNEL_AXES[graph.metadata_props.get(PIXELS_PROP, "NCHW")]
    shape: list[int | str | ir.SymbolicDim] = [1, height, width]
    shape.insert(axis, images.shape[axis] if images.shape is not None else "channels")
    images.shape = ir.Shape(shape)
    for node in sized.graph:
        for value in node.outputs:
            value.shape = None
    # With data: where a Reshape takes its sizes from the images, as GroupNorm's does.
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(sized)
    return sized.graph


def _precision(layer: ir.Node) -> str:
    integers = [_integer(value) for value in layer.inputs[:2]]
    if all(integers):
        return "int8"
    weights = layer.inputs[1]
    assert weights is not None
    return str(weights.dtype).lower() if weights.dtype != ir.DataType.FLOAT else "float32"


def _integer(value: ir.Value | None) -> bool:
    """Return whether the value comes out of integers of 8 bits."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "DequantizeLinear":
        return False
    zero_point = node.inputs[2] if len(node.inputs) > 2 else node.inputs[0]
    return zero_point is not None and zero_point.dtype in _INTEGERS
