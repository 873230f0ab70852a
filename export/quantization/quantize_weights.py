"""Stores the weights of one node, and its bias, as integers, with their DequantizeLinear.

`calibration.round_weights` says which integers.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from calibration.round_weights import Rounded, round_weights
from calibration.rounded_tensors import node_input
from calibration.weight_scales import WeightScales
from export.quantization.placement import Placement

__all__ = ["quantize_weights"]


def quantize_weights(
    graph: ir.Graph, node: ir.Node, placement: Placement, weight_scales: WeightScales
) -> None:
    """Store a node's weights as int8, and its bias as int32 where the target wants that, in place.

    Args:
        graph: of the node.
        node: a Conv or Gemm, whose input comes out of a DequantizeLinear.
        placement: of the target.
        weight_scales: how the steps of weights are chosen.

    Raises:
        OptionError: if the weights are not stored in the graph.
    """
    scale = _input_scale(node) if placement.integer_bias and len(node.inputs) > 2 else None
    weights, bias = round_weights(node, placement.largest_weight, weight_scales, scale)
    if bias is not None:
        _store(graph, node, 2, f"{node.name}.bias", bias)
    _store(graph, node, 1, f"{node.name}.weight", weights)


def _input_scale(node: ir.Node) -> float:
    dequantizer = node_input(node, 0).producer()
    assert dequantizer is not None  # every quantized input comes out of a DequantizeLinear
    scale = ir.convenience.get_const_tensor(node_input(dequantizer, 1))
    assert scale is not None  # as it was inserted
    return float(scale.numpy())


def _store(graph: ir.Graph, node: ir.Node, index: int, name: str, rounded: Rounded) -> None:
    """Let the node read integers, dequantized, in the place of an input."""
    zero_points = np.zeros(rounded.scales.shape, rounded.integers.dtype)
    tape = ir.tape.Tape()
    parameters = [
        tape.initializer(ir.tensor(rounded.integers, name=f"{name}.quantized")),
        tape.initializer(ir.tensor(rounded.scales, name=f"{name}.scale")),
        tape.initializer(ir.tensor(zero_points, name=f"{name}.zero_point")),
    ]
    axis = {"axis": rounded.axis}
    floats = ir.val(f"{name}.dequantized", ir.DataType.FLOAT, rounded.integers.shape)
    tape.op("DequantizeLinear", parameters, axis, name=f"{name}.dequantize", output=floats)
    node.replace_input_with(index, floats)
    graph.insert_before(node, tape.nodes)
    for initializer in tape.initializers:
        graph.register_initializer(initializer)
