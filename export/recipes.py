"""The straight lines from a classifier to a graph."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from export.classifier import Classifier
from export.simplify import Simplification, Simplifier
from export.trace import trace, trace_static
from runtime.terminal import Screen

__all__ = ["float32", "float32_static"]


def float32(classifier: Classifier, opset: int, screen: Screen) -> Simplification:
    """Return the simplified float32 graph, with dynamic batch, height and width."""
    return _float32(lambda: trace(classifier, opset), screen)


def float32_static(
    classifier: Classifier, shape: tuple[int, int, int, int], opset: int, screen: Screen
) -> Simplification:
    """Return the simplified float32 graph for one shape [batch, channels, height, width]."""
    return _float32(lambda: trace_static(classifier, shape, opset), screen)


def _float32(trace_it: Callable[[], ir.Model], screen: Screen) -> Simplification:
    with Simplifier() as simplify:  # its process warms up while the model is traced
        with screen.step("trace") as step:
            graph = trace_it()
            step.detail = f"opset {graph.opset_imports['']}, {_shape(graph)}"
        with screen.step("simplify") as step:
            outcome = simplify(graph)
            step.detail = f"{outcome.before.total()} nodes to {outcome.after.total()}"
    if outcome.kept_because:
        screen.warn(f"the graph was not simplified: {outcome.kept_because}")
    return outcome


def _shape(graph: ir.Model) -> str:
    value = graph.graph.inputs[0]
    return f"{value.name} {value.shape}".replace(",", ", ")
