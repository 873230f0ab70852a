"""Rounds the weights of a node to int8, and its bias to int32.

    a weight w          q = clip(round(w / s[c]))       one scale s[c] for each output channel c
    a bias b            q = round(b / (s s[c]))         s is the scale of the node's input

`emulate_nodes` goes on with s[c] q in float32; `export.quantize` writes q and s[c].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.rounded_tensors import node_input
from calibration.weight_scales import WeightScales
from runtime.errors import OptionError

__all__ = ["Rounded", "output_axis", "round_weights"]

_FINEST = 2.0**-12
"""Least scale of a channel, as a share of the tensor's largest. A channel whose weights are smaller
yet gives what is far below the step of its output's one scale; and float16 holds this scale."""

_LARGEST_BIAS = 2.0**30
"""Half of int32's range; the other half is the sum's of products."""


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """What a Conv or Gemm reads behind its images, in steps of one scale an output channel."""

    integers: NDArray[np.int8] | NDArray[np.int32]
    """int8 weights, of the shape that the node's have; or an int32 bias, [channels]."""
    scales: NDArray[np.float32]
    """[channels]."""
    axis: int
    """Of the integers: the one along which the scales stand."""

    @property
    def values(self) -> NDArray[np.float32]:
        """What the integers stand for."""
        shape = [-1 if axis == self.axis else 1 for axis in range(self.integers.ndim)]
        values: NDArray[np.float32] = self.integers * self.scales.reshape(shape)
        return values.astype(np.float32, copy=False)  # NumPy multiplies int32 in float64


def round_weights(
    node: ir.Node, largest_weight: int, weight_scales: WeightScales, input_scale: float | None
) -> tuple[Rounded, Rounded | None]:
    """Return the rounded weights of a Conv or Gemm, and its rounded bias if it is to be rounded.

    Args:
        node: its weights and its bias are constants; it is left as it is.
        largest_weight: integers are -largest_weight to largest_weight.
        weight_scales: how the steps of weights are chosen.
        input_scale: of what the node multiplies them with, a float32 number; None where the bias
            stays as it is.

    Raises:
        OptionError: if the weights are not stored in the graph.
    """
    axis = output_axis(node)
    weights = np.moveaxis(_constant(node, 1), axis, 0)
    rows = weights.reshape(len(weights), -1)
    scales = _not_too_small(weight_scales(rows, largest_weight))
    rounded_bias = None
    if input_scale is not None and len(node.inputs) > 2:
        bias = _constant(node, 2)
        scales = np.maximum(scales, np.abs(bias) / (input_scale * _LARGEST_BIAS))
        fine = input_scale * scales.astype(np.float32).astype(np.float64)
        integers = np.rint(bias / fine).astype(np.int32)
        rounded_bias = Rounded(integers=integers, scales=fine.astype(np.float32), axis=0)
    steps = scales.astype(np.float32)
    wanted = np.rint(rows / steps[:, None].astype(np.float64)).reshape(weights.shape)
    clipped = np.clip(wanted, -largest_weight, largest_weight).astype(np.int8)
    return Rounded(integers=np.moveaxis(clipped, 0, axis), scales=steps, axis=axis), rounded_bias


def output_axis(node: ir.Node) -> int:
    """Return the axis of the weights of a Conv or Gemm along which the output channels lie."""
    return int(node.op_type == "Gemm" and not node.attributes.get_int("transB", 0))


def _not_too_small(scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scales, none of them 0 and none far below the largest."""
    largest = float(scales.max(initial=0.0))
    return np.maximum(scales, _FINEST * largest) if largest else np.ones_like(scales)


def _constant(node: ir.Node, index: int) -> NDArray[np.float64]:
    tensor = ir.convenience.get_const_tensor(node_input(node, index))
    if tensor is None:
        raise OptionError(
            f"'{node.name}' reads weights that are not a constant; expected weights that are "
            "stored in the graph: simplify it first"
        )
    return tensor.numpy().astype(np.float64)
