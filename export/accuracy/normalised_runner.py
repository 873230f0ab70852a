"""Opens a bundle's float32 model for normalised images, whatever it takes otherwise."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.read_graph import read_graph
from runtime.bundle import Bundle
from runtime.feed import fill_batch, fixed_batch
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import open_runner

__all__ = ["NormalisedRunner"]

_NO_CLASS = -1


class NormalisedRunner:
    """The variant "fp32" of a bundle, for float32 images [batch, channels, height, width].

    Raises:
        BundleError: if the model was altered.
        BackendError: if it cannot run here.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._batch = fixed_batch(bundle.variant("fp32"))
        if not bundle.manifest.pixels:
            self._runner = open_runner(bundle)
            return
        graph = ir.to_proto(read_graph(bundle))  # behind what it normalises
        self._runner = OnnxRunner.open(graph.SerializeToString())

    def classes(self, images: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the most probable class of each image; -1 where the logits hold NaN or infinity.

        Args:
            images: [images, channels, height, width], normalised.

        Raises:
            BackendError: if it cannot run on them.
        """
        size = self._batch or len(images)
        found = []
        for first in range(0, len(images), size):
            part = images[first : first + size]
            logits = self._runner.logits(fill_batch(part, self._batch))[: len(part)]
            finite = np.isfinite(logits).all(axis=1)
            found.append(np.where(finite, logits.argmax(axis=1), _NO_CLASS).astype(np.int32))
        return np.concatenate(found)
