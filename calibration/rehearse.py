"""Rehearsal: a graph as it will be quantized, whose ranges may be changed from run to run.

Scales and zero points are inputs of it, so one session serves every method: to open one takes as
long as dozens of images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from calibration.emulate_nodes import emulate_nodes, fit_steps, quantizable
from calibration.fit_errors import Features
from calibration.probe import Probe
from calibration.ranges import ActivationRanges, Grid
from calibration.rounded_tensors import head, node_input
from runtime.runner import Images, Logits, join_outputs

__all__ = ["Rehearsal"]


class Rehearsal:
    """All nodes but the head's in integers, weights too, as the grid's target computes them.

    Args:
        graph: float32; not changed.
        ranges: some ranges for the grid.
        grid: of the target.

    Raises:
        OptionError: if the ranges are of another grid, or lack a tensor.
        BackendError: if ONNX Runtime cannot run the graph.
    """

    def __init__(self, graph: ir.Model, ranges: ActivationRanges, grid: Grid) -> None:
        self._graph, self._grid = graph, grid
        floats = head(graph)
        self._nodes = [name for name in quantizable(graph, grid) if name not in floats]
        emulated = emulate_nodes(graph, ranges, grid, self._nodes)
        for name in fit_steps(graph, ranges, grid, self._nodes):
            emulated.graph.inputs.append(emulated.graph.initializers[name])
        self._outputs = [str(output.name) for output in graph.graph.outputs]
        self._features = _head_input(graph)
        tensors = [*self._outputs, self._features] if self._features else self._outputs
        self._probe = Probe(emulated, tensors)
        # A graph is a web of cycles: until Python's collector comes by, it would hold its rounded
        # weights beside those of the next rehearsal.
        for value in emulated.graph.initializers.values():
            value.const_value = None

    def run(
        self, ranges: ActivationRanges, batches: Sequence[Images]
    ) -> tuple[Logits, Features | None]:
        """Return a row of logits, or of all maps, for each image, given by these ranges.

        And what the classifier's head reads of them; None if the graph has none.
        """
        steps = fit_steps(self._graph, ranges, self._grid, self._nodes)
        seen = [self._probe.run(images, steps) for images in batches]
        logits = [join_outputs([each[name] for name in self._outputs]) for each in seen]
        features = [each[self._features] for each in seen] if self._features else []
        return np.concatenate(logits), np.concatenate(features) if features else None


def _head_input(graph: ir.Model) -> str:
    """Return the name of what the matrix product reads that makes the logits; "" without one."""
    last = graph.graph.outputs[0].producer()
    return str(node_input(last, 0).name) if last is not None and last.op_type == "Gemm" else ""
