"""Tells whether a simplified model still says what the traced graph says.

Simplifiers have shipped wrong results, so none is believed. The traced graph is run as it was
handed to the simplifier, without its weights inside: they are fed like images, which spares a
second copy of them and the preparation of a session; so is the simplified one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from runtime.runner import Images

__all__ = ["FedRunner", "find_difference"]

EQUIVALENCE_GAP = 1e-4
"""Largest difference of an output before and after, as a share of its largest value. Reordering
float32 sums moves ResNet-152 by 5e-6."""


class FedRunner:
    """A model whose weights are inputs, and are fed with every batch.

    Args:
        model: a serialized ONNX model; its first input takes images.
        weights: the other inputs, by name.
    """

    def __init__(self, model: bytes, weights: Mapping[str, NDArray[np.float32]]) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is told by the exception
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self._weights = dict(weights)

    @property
    def image_shape(self) -> tuple[int | str, ...]:
        """[batch, channels, height, width], dynamic dimensions by name."""
        return tuple(self._session.get_inputs()[0].shape)

    def outputs(self, images: Images) -> list[NDArray[np.float32]]:
        """Return every output of the model for images [batch, channels, height, width]."""
        feeds = {self._session.get_inputs()[0].name: images, **self._weights}
        outputs: list[NDArray[np.float32]] = self._session.run(None, feeds)
        return outputs


def find_difference(before: FedRunner, after: FedRunner) -> str:
    """Return in what the two differ on images of three shapes, or an empty string."""
    for images in _probes(before.image_shape):
        for expected, actual in zip(before.outputs(images), after.outputs(images), strict=True):
            if actual.shape != expected.shape:
                return f"an output went from shape {expected.shape} to {actual.shape}"
            gap, scale = np.abs(expected - actual).max(), np.abs(expected).max()
            if not gap <= EQUIVALENCE_GAP * scale:
                shape = "x".join(map(str, images.shape))
                return f"an output of up to {scale:.1e} moved by {gap:.1e} on images {shape}"
    return ""


def _probes(shape: tuple[int | str, ...]) -> list[Images]:
    """Random images of three shapes, or of the one shape a static graph takes."""
    rng = np.random.default_rng(0)
    wanted = ((1, 3, 64, 96), (3, 3, 33, 47), (2, 3, 128, 64))
    shapes = {
        tuple(
            given if isinstance(given, int) else free
            for given, free in zip(shape, sizes, strict=True)
        )
        for sizes in wanted
    }
    return [rng.standard_normal(size, dtype=np.float32) for size in sorted(shapes)]
