"""In which precision a graph's convolutions run: the promise that an engine is held to.

A graph carries its precision. A convolution runs in int8 where both its images and its weights come
out of a DequantizeLinear, and else in the type of its weights. Multiply-accumulates of one image
are its weights times the pixels of its output.
"""

from __future__ import annotations

import math

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from runtime.errors import OptionError
from runtime.image_spec import CHANNEL_AXES
from runtime.precision import PrecisionPromise

__all__ = ["promise_precision"]

_INTEGERS = (ir.DataType.INT8, ir.DataType.UINT8)


def promise_precision(
    graph: ir.Model, height: int, width: int, layout: str = "NCHW"
) -> PrecisionPromise:
    """Return how much of the graph's convolutions runs in which precision.

    Args:
        graph: a classifier; it is left as it is.
        height: of the image, in pixels.
        width: of the image, in pixels.
        layout: of the image, one of `runtime.image_spec.CHANNEL_AXES`.

    Raises:
        OptionError: if the graph does not take images of that size.
    """
    macs: dict[str, int] = {}
    for node in _with_shapes(graph, height, width, layout):
        if node.op_type == "Conv":
            pixels, weights = node.outputs[0].shape, node.inputs[1]
            if pixels is None or not pixels.is_static() or min(pixels.numpy()) < 1:
                raise OptionError(
                    f"image size: given {height}x{width}; expected one that '{node.name}' can take"
                )
            precision = _precision(node)
            macs[precision] = macs.get(precision, 0) + _size(weights) * math.prod(
                pixels.numpy()[2:]
            )
    return PrecisionPromise(height=height, width=width, macs=macs)


def _size(weights: ir.Value | None) -> int:
    assert weights is not None
    assert weights.shape is not None
    return math.prod(weights.shape.numpy())


def _with_shapes(graph: ir.Model, height: int, width: int, layout: str) -> ir.Graph:
    sized = graph.clone()
    images = sized.graph.inputs[0]
    axis = CHANNEL_AXES[layout]
    shape: list[int | str | ir.SymbolicDim] = [1, height, width]
    shape.insert(axis, images.shape[axis] if images.shape is not None else "channels")
    images.shape = ir.Shape(shape)
    for node in sized.graph:
        for value in node.outputs:
            value.shape = None
    ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(sized)
    return sized.graph


def _precision(convolution: ir.Node) -> str:
    integers = [_integer(value) for value in convolution.inputs[:2]]
    if all(integers):
        return "int8"
    weights = convolution.inputs[1]
    assert weights is not None
    return str(weights.dtype).lower() if weights.dtype != ir.DataType.FLOAT else "float32"


def _integer(value: ir.Value | None) -> bool:
    """Return whether the value comes out of integers of 8 bits."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "DequantizeLinear":
        return False
    zero_point = node.inputs[2] if len(node.inputs) > 2 else node.inputs[0]
    return zero_point is not None and zero_point.dtype in _INTEGERS
