"""Refuses a quantized graph that ONNX Runtime would run in float, node by node.

    activations   uint8, one scale > 0 and one zero point a tensor
    weights       int8, zero point 0, scales > 0 along the output channels
    bias          int32, zero point 0, scale = input scale * weight scale

`read_back` then asks ONNX Runtime itself, which does not tell why; this says which node is wrong
and in what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.round_weights import output_axis
from export.quantization.check_quantized import check_scale
from runtime.errors import OptionError

__all__ = ["check_cpu_graph"]

_BIAS_GAP = 1e-5
"""Relative; float32 products of scales differ by a rounding."""


def check_cpu_graph(graph: ir.Model) -> None:
    """Return if the quantization of the graph is what ONNX Runtime's integer kernels compute.

    Raises:
        OptionError: naming the node and what is wrong with it.
    """
    for node in graph.graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            check_scale(node)
        if node.op_type in ("Conv", "Gemm") and _dequantizer(node, 0) and not _stays_float(node):
            _check_layer(node)


def _stays_float(node: ir.Node) -> bool:
    """Return whether nothing but the images is quantized, which are so for others that read them.

    Were its result quantized, ONNX Runtime would quantize its weights by itself.
    """
    results = _readers(node)
    results += [reader for each in results if each.op_type == "Relu" for reader in _readers(each)]
    fed = any(_dequantizer(node, index) for index in (1, 2))
    return not fed and not any(each.op_type == "QuantizeLinear" for each in results)


def _readers(node: ir.Node) -> list[ir.Node]:
    return [use.node for use in node.outputs[0].uses()]


def _check_layer(node: ir.Node) -> None:
    images, weights, bias = (_dequantizer(node, index) for index in range(3))
    assert images is not None  # the caller has seen it
    if _dtype(images) != ir.DataType.UINT8 or _scale(images).size != 1:
        raise _refusal(images, "images other than uint8 with one scale", "uint8")
    if weights is None or _dtype(weights) != ir.DataType.INT8:
        raise _refusal(weights or node, "weights other than int8", "int8")
    axis, expected = weights.attributes.get_int("axis", 1), output_axis(node)
    if axis != expected or _zero_point(weights).any():
        raise _refusal(weights, f"axis {axis} or a zero point", f"axis {expected} and 0")
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return
    if bias is None or _dtype(bias) != ir.DataType.INT32 or _zero_point(bias).any():
        raise _refusal(bias or node, "a bias other than int32", "int32 with zero point 0")
    if not np.allclose(_scale(bias), _scale(images) * _scale(weights), rtol=_BIAS_GAP, atol=0):
        raise _refusal(bias, "a bias of its own scale", "input scale * weight scale")


def _dequantizer(node: ir.Node, index: int) -> ir.Node | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    producer = value.producer() if value is not None else None
    return producer if producer is not None and producer.op_type == "DequantizeLinear" else None


def _dtype(dequantizer: ir.Node) -> ir.DataType | None:
    zero_point = dequantizer.inputs[2] if len(dequantizer.inputs) > 2 else None
    return zero_point.dtype if zero_point is not None else None


def _scale(dequantizer: ir.Node) -> NDArray[Any]:
    return _constant(dequantizer, 1)


def _zero_point(dequantizer: ir.Node) -> NDArray[Any]:
    return _constant(dequantizer, 2)


def _constant(node: ir.Node, index: int) -> NDArray[Any]:
    value = node.inputs[index]
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    if tensor is None:
        raise _refusal(node, "a scale or zero point that is computed", "constants")
    return tensor.numpy()


def _refusal(node: ir.Node, given: str, expected: str) -> OptionError:
    return OptionError(
        f"ONNX Runtime has no integer kernel for '{node.name}' ({node.op_type}): given {given}; "
        f"expected {expected}. Quantize the graph for ONNX Runtime"
    )
