"""Quantizes the weights of one node to int8, and its bias to int32.

    a weight w          q = clip(round(w / s[c]))       one scale s[c] for each output channel c
    a bias b            q = round(b / (s s[c]))         s is the scale of the node's input

Both are stored as integers, with their DequantizeLinear.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.quantization.placement import Placement
from export.quantization.weight_scales import WeightScales
from runtime.errors import OptionError

__all__ = ["quantize_weights"]

_FINEST = 2.0**-12
"""Least scale of a channel, as a share of the tensor's largest. A channel whose weights are smaller
yet gives what is far below the step of its output's one scale; and float16 holds this scale."""

_INPUTS = ("input", "weight", "bias")
"""Of Conv and Gemm, by index."""

_LARGEST_BIAS = 2.0**30
"""Half of int32's range; the other half is the sum's of products."""


def quantize_weights(
    graph: ir.Graph, node: ir.Node, placement: Placement, weight_scales: WeightScales
) -> None:
    """Store a node's weights, and its bias where the target wants that, as integers, in place.

    Args:
        graph: of the node.
        node: a Conv or Gemm, whose input comes out of a DequantizeLinear.
        placement: of the target.
        weight_scales: how the steps of weights are chosen.

    Raises:
        OptionError: if the weights are not stored in the graph.
    """
    axis = 1 if node.op_type == "Gemm" and not node.attributes.get_int("transB", 0) else 0
    weights = np.moveaxis(_constant(node.inputs[1]), axis, 0)
    rows = weights.reshape(len(weights), -1)
    scales = _not_too_small(weight_scales(rows, placement.largest_weight))
    if placement.integer_bias and len(node.inputs) > 2:
        bias, input_scale = _constant(node.inputs[2]), _constant(_pair_scale(node.inputs[0]))
        scales = np.maximum(scales, np.abs(bias) / (input_scale * _LARGEST_BIAS))
        fine = input_scale * scales.astype(np.float32)
        _store(graph, node, 2, np.rint(bias / fine).astype(np.int32), fine.astype(np.float32), 0)
    steps = scales.astype(np.float32)
    integers = np.rint(rows / steps[:, None].astype(np.float64)).reshape(weights.shape)
    integers = np.clip(integers, -placement.largest_weight, placement.largest_weight)
    _store(graph, node, 1, np.moveaxis(integers, 0, axis).astype(np.int8), steps, axis)


def _not_too_small(scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scales, none of them 0 and none far below the largest."""
    largest = float(scales.max(initial=0.0))
    return np.maximum(scales, _FINEST * largest) if largest else np.ones_like(scales)


def _pair_scale(value: ir.Value | None) -> ir.Value | None:
    node = value.producer() if value is not None else None
    assert node is not None  # every quantized input comes out of a DequantizeLinear
    return node.inputs[1]


def _constant(value: ir.Value | None) -> NDArray[np.float64]:
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    if tensor is None:
        raise OptionError(
            f"'{value and value.name}' is not a constant; expected weights that are stored in the "
            "graph: simplify it first"
        )
    return tensor.numpy().astype(np.float64)


def _store(
    graph: ir.Graph,
    node: ir.Node,
    index: int,
    integers: NDArray[np.signedinteger[Any]],
    scales: NDArray[np.float32],
    axis: int,
) -> None:
    """Let the node read integers, dequantized, in the place of an input."""
    name, tape = f"{node.name}.{_INPUTS[index]}", ir.tape.Tape()
    parameters = [
        tape.initializer(ir.tensor(integers, name=f"{name}.quantized")),
        tape.initializer(ir.tensor(scales, name=f"{name}.scale")),
        tape.initializer(
            ir.tensor(np.zeros(scales.shape, integers.dtype), name=f"{name}.zero_point")
        ),
    ]
    floats = ir.val(f"{name}.dequantized", ir.DataType.FLOAT, integers.shape)
    tape.op(
        "DequantizeLinear", parameters, {"axis": axis}, name=f"{name}.dequantize", output=floats
    )
    node.replace_input_with(index, floats)
    graph.insert_before(node, tape.nodes)
    for initializer in tape.initializers:
        graph.register_initializer(initializer)
