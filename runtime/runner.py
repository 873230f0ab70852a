"""The Runner protocol: whatever can turn a batch of images into logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Images", "Logits", "Runner", "join_outputs"]

Images: TypeAlias = NDArray[np.float32 | np.uint8]
"""What a graph takes: float32 [batch, channels, height, width], normalised, or pixels: uint8 in the
layout of its bundle. See runtime.preprocess."""

Logits: TypeAlias = NDArray[np.floating[Any]]
"""float32 or float64 [batch, classes]: one row an image, in order, before any softmax."""


class Runner(Protocol):
    """A classifier that is ready to run."""

    @property
    def name(self) -> str:
        """What runs, for a person: "onnxruntime cpu", "torch float64"."""

    def logits(self, images: Images) -> Logits:
        """Return one row of logits per image, in order. The array is the caller's to keep."""


def join_outputs(outputs: Sequence[Logits]) -> Logits:
    """Return one row an image: of a single output its own, of several all values one after another.

    Args:
        outputs: arrays [batch, ...], all of the same images.
    """
    if len(outputs) == 1:
        return outputs[0]
    return np.concatenate([part.reshape(len(part), -1) for part in outputs], axis=1)
