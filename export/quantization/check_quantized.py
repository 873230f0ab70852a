"""Refuses a quantized graph that TensorRT would refuse late, or misread in silence.

    given                              TensorRT                       ONNX says
    zero point other than 0            does not parse                 any
    no zero point                      int8                           uint8
    uint8 zero point 0                 int8, with a warning           uint8
    int32 bias in DequantizeLinear     does not parse                 fine
    scales a channel of images         no kernel, runs in float       fine
    weight scales along another axis   builds where sizes agree       another result
    scales of 0, below, or NaN         does not parse                 nonsense

Found with TensorRT-RTX 1.7, whose parser is that of TensorRT 11.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from calibration.round_weights import output_axis
from runtime.errors import OptionError

__all__ = ["check_quantized", "check_scale"]

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def check_quantized(graph: ir.Model) -> None:
    """Return if TensorRT reads the quantization of the graph as ONNX means it.

    Raises:
        OptionError: naming the node and what is wrong with it.
    """
    for node in graph.graph:
        if node.op_type in _PAIR:
            check_scale(node)
            _check_zero_point(node)
        if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
            _check_scales(node)


def check_scale(node: ir.Node) -> None:
    """Return if the scales of a QuantizeLinear or DequantizeLinear are numbers above zero.

    Raises:
        OptionError: naming the node and the scale.
    """
    constant = ir.convenience.get_const_tensor(node.inputs[1]) if node.inputs[1] else None
    if constant is None:
        raise OptionError(f"the scale of '{node.name}' ({node.op_type}) is not a constant")
    scales = constant.numpy().astype(np.float64).ravel()
    wrong = scales[~((scales > 0) & np.isfinite(scales))]
    if len(wrong):
        raise OptionError(
            f"'{node.name}' ({node.op_type}) has the scale {wrong[0]:g}; expected a number above 0"
        )


def _check_zero_point(node: ir.Node) -> None:
    zero_point = node.inputs[2] if len(node.inputs) > 2 else None
    if zero_point is None:
        raise _refusal(node, "no zero point", "an int8 zero point of 0")
    if zero_point.dtype == ir.DataType.INT32:
        raise _refusal(node, "int32 values, as of a quantized bias", "a bias in float")
    if zero_point.dtype == ir.DataType.UINT8:
        raise _refusal(node, "uint8 values", "int8")
    constant = ir.convenience.get_const_tensor(zero_point)
    if constant is None or constant.numpy().any():
        raise _refusal(node, "a zero point other than 0", "0")


def _check_scales(node: ir.Node) -> None:
    images, weights = _dequantizer(node.inputs[0]), _dequantizer(node.inputs[1])
    if images is not None and _channels(images) > 1:
        raise _refusal(images, f"{_channels(images)} scales for the images", "a single one")
    if weights is not None and _channels(weights) > 1:
        expected = 1 if node.op_type == "ConvTranspose" else output_axis(node)
        axis = weights.attributes.get_int("axis", 1)
        if axis != expected:
            raise _refusal(weights, f"scales along axis {axis} of weights", f"axis {expected}")


def _dequantizer(value: ir.Value | None) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _channels(node: ir.Node) -> int:
    scale = ir.convenience.get_const_tensor(node.inputs[1]) if node.inputs[1] else None
    return scale.size if scale is not None else 1


def _refusal(node: ir.Node, given: str, expected: str) -> OptionError:
    return OptionError(
        f"TensorRT misreads '{node.name}' ({node.op_type}): given {given}; expected {expected}. "
        "Quantize the graph for TensorRT"
    )
