"""Measures which values a graph's activations take on real images: one pass, constant memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.observers import Histogram
from calibration.probe import Probe
from calibration.tap import activations
from runtime.errors import CheckpointError
from runtime.runner import Images

__all__ = ["Measurement", "check_weights", "measure"]

# No more than hide counting behind inference: each costs 0.05 ms to start, for every batch.
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(kw_only=True, eq=False)
class Measurement:
    """What was seen of every tensor; every method's range follows from it without another pass."""

    histograms: dict[str, Histogram]
    """By the name of the tensor, in the order they are computed."""
    images: int = 0

    @staticmethod
    def of(tensors: Iterable[str]) -> Measurement:
        """Return a measurement of these tensors that has seen nothing yet."""
        return Measurement(histograms={name: Histogram() for name in tensors})

    def see(self, probe: Probe, images: Images) -> dict[str, NDArray[np.float32]]:
        """Add what the images do to the graph, and return it, by tensor.

        Raises:
            CheckpointError: if an activation is NaN or infinite.
            BackendError: if the graph cannot run on them.
        """
        found = probe.run(images)
        # Counting leaves the interpreter, so that tensors are counted on all cores.
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(self._count, *zip(*found.items(), strict=True)):
                pass
        self.images += len(images)
        return found

    def merge(self, other: Measurement) -> None:
        """Add all that the other measurement, of the same tensors, has seen."""
        for name, histogram in self.histograms.items():
            histogram.merge(other.histograms[name])
        self.images += other.images

    def _count(self, name: str, values: NDArray[np.float32]) -> None:
        try:
            self.histograms[name].see(values)
        except ValueError as error:
            raise CheckpointError(
                f"the activation '{name}' holds {error}; the model's weights are broken or belong "
                "to another preprocessing"
            ) from None


def measure(graph: ir.Model, batches: Iterable[Images]) -> Measurement:
    """Return what the graph's activations do on the batches, which may differ in shape.

    One batch and its activations are alive at a time. How images are split into batches changes
    nothing but the rounding of float32 sums inside ONNX Runtime.

    Raises:
        OptionError: if the graph is quantized already, or does not compute in float32.
        CheckpointError: if a weight or an activation is NaN or infinite.
        BackendError: if ONNX Runtime cannot run the graph on a batch.
    """
    check_weights(graph)
    tensors = activations(graph)
    probe = Probe(graph, tensors)
    measurement = Measurement.of(tensors)
    for images in batches:
        measurement.see(probe, images)
    return measurement


def check_weights(graph: ir.Model) -> None:
    """Return if every weight is a finite number.

    A NaN need not reach an activation that is looked at: a Relu may turn it into zero.

    Raises:
        CheckpointError: if one is not; names the first tensor that holds it.
    """
    for name, value in graph.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or not tensor.dtype.is_floating_point():
            continue
        weights = tensor.numpy()
        # The extremes are finite exactly if all values are, and cost no array of flags.
        if weights.size and not math.isfinite(float(weights.min()) + float(weights.max())):
            raise CheckpointError(
                f"the weight '{name}' holds NaN or infinity; export the model from sound weights"
            )
