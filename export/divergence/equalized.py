"""Tells whether a graph's channels were equalized, from its biases.

Equalizing divides what a channel holds by a factor of its own, the layer's bias with it; a fault
changes one layer or one channel. So where the biases of most channels are no longer those of the
float32 graph, they were equalized.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.rounded_tensors import WEIGHTED

__all__ = ["is_equalized"]

_CLEARLY = 0.02
"""Relative change of a bias beyond any rounding to integers or float16."""
_NEGLIGIBLE = 1e-3
"""Share of a layer's largest bias below which one says nothing."""


def is_equalized(graph: ir.Model, original: ir.Model) -> bool:
    """Return whether most channels of the graph are scaled, compared with the original's."""
    before = {str(node.name): _bias(node) for node in original.graph}
    changes = [np.zeros(0)]
    for node in graph.graph:
        old, new = before.get(str(node.name)), _bias(node)
        if old is not None and new is not None and old.shape == new.shape:
            telling = np.abs(old) > _NEGLIGIBLE * np.abs(old).max(initial=0.0)
            changes.append(np.abs(new[telling] / old[telling] - 1))
    together = np.concatenate(changes)
    return bool(together.size) and float(np.median(together)) > _CLEARLY


def _bias(node: ir.Node) -> NDArray[np.float64] | None:
    """Return the bias of a layer as numbers, whatever it is stored as."""
    if node.op_type not in WEIGHTED or len(node.inputs) < 3:
        return None
    value = node.inputs[2]
    producer = value.producer() if value is not None else None
    if producer is None or producer.op_type not in ("DequantizeLinear", "Cast"):
        return _numbers(value)
    integers, *rest = (_numbers(each) for each in producer.inputs[:2])
    if integers is None:
        return None
    scale = rest[0] if rest else np.ones(1)
    return None if scale is None else integers * scale


def _numbers(value: ir.Value | None) -> NDArray[np.float64] | None:
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    return None if tensor is None else tensor.numpy().astype(np.float64)
