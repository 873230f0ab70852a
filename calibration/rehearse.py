"""Rehearsal: a graph as it will be quantized, whose ranges may be changed from run to run.

Scales and zero points are inputs of it, so one session serves every method: to open one takes as
long as dozens of images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from calibration.emulate_nodes import HEAD, emulate_nodes, fit_steps, quantizable
from calibration.probe import Probe
from calibration.ranges import ActivationRanges, Grid
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
        head = {str(node.name) for node in graph.graph if node.op_type in HEAD}
        self._graph, self._grid = graph, grid
        self._nodes = [name for name in quantizable(graph, grid) if name not in head]
        emulated = emulate_nodes(graph, ranges, grid, self._nodes)
        for name in fit_steps(graph, ranges, grid, self._nodes):
            emulated.graph.inputs.append(emulated.graph.initializers[name])
        self._probe = Probe(emulated, [str(output.name) for output in graph.graph.outputs])

    def logits(self, ranges: ActivationRanges, batches: Sequence[Images]) -> Logits:
        """Return a row of logits, or of all maps, for each image, given by these ranges."""
        steps = fit_steps(self._graph, ranges, self._grid, self._nodes)
        answers = (self._probe.run(images, steps) for images in batches)
        return np.concatenate([join_outputs([*each.values()]) for each in answers])
