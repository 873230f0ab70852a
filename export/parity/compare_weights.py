"""Compares the weights in a graph with those of the module it was traced from, one by one.

Logits cannot show every fault: a bias near zero may be wrong by a tenth of a percent and move them
by less than float32 rounding does. But the weights themselves are at hand on both sides, and
nothing between tracing and the file may change one. So each is compared with its origin, by name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from export.parity.report import WeightParity

__all__ = ["compare_weights"]

LARGEST_GAP = 1e30
"""Stands in for infinity, which JSON has not."""


def compare_weights(module: nn.Module, graph: ir.Model) -> WeightParity:
    """Return how far the graph's weights are from the module's.

    Every convolution and matrix product of the graph is looked up in the module by its name;
    a layer the module does not have under that name counts as not compared.
    """
    state = module.state_dict()
    gaps: dict[str, float] = {}
    unknown = []
    for node in graph.graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        found = [
            _gap(state, f"{node.name}.{kind}", value)
            for kind, value in zip(("weight", "bias"), node.inputs[1:], strict=False)
        ]
        known = [gap for gap in found if gap is not None]
        if known and len(known) == len(found):
            gaps[str(node.name)] = max(known)
        else:
            unknown.append(str(node.name))
    worst = max(gaps, key=lambda name: gaps[name], default="")
    return WeightParity(
        layers=len(gaps),
        not_compared=tuple(unknown),
        largest_gap=gaps.get(worst, 0.0),
        worst_layer=worst,
    )


def _gap(state: Mapping[str, torch.Tensor], name: str, value: ir.Value | None) -> float | None:
    """Return the largest difference, as a share of the largest weight of its output channel."""
    tensor = value.const_value if value is not None else None
    if tensor is None or name not in state:
        return None
    expected, actual = state[name].numpy(), tensor.numpy()
    if expected.shape != actual.shape:
        return None
    if not np.isfinite(actual).all():
        return LARGEST_GAP
    axes = tuple(range(1, expected.ndim))
    difference = np.abs(expected - actual).max(axis=axes)
    scale = np.maximum(np.abs(expected).max(axis=axes), np.finfo(np.float32).tiny)
    return min(float((difference / scale).max()), LARGEST_GAP)
