"""Scores logits: how near those of a quantized graph come to those of the float32 graph."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from calibration.probe import Probe
from runtime.runner import Images, Logits, join_outputs

__all__ = ["Score", "float_logits", "score_logits"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How near quantized logits are to the float32 model's own."""

    sqnr_db: float
    """10 log10(sum(reference^2) / sum((reference - quantized)^2)), in decibel; inf if equal."""
    top1_agreement: float
    """Share of images with the same best class, 0 to 1."""


def float_logits(graph: ir.Model, batches: Iterable[Images]) -> Logits:
    """Return a row of logits, or of all maps, for each image of the batches."""
    outputs = [str(output.name) for output in graph.graph.outputs]
    probe = Probe(graph, outputs)
    return np.concatenate([join_outputs([*probe.run(images).values()]) for images in batches])


def score_logits(
    reference: Logits, quantized: Logits, weights: NDArray[np.float64] | None = None
) -> Score:
    """Return how near the quantized logits [images, classes] are to the reference.

    Args:
        reference: of the float32 graph.
        quantized: of the same images.
        weights: how many images each of them stands for; all of them for one by default.
    """
    expected = reference.astype(np.float64)
    each = np.ones(len(expected)) if weights is None else weights
    noise = float(each @ ((quantized - expected) ** 2).sum(axis=1))
    signal = float(each @ (expected**2).sum(axis=1))
    return Score(
        sqnr_db=10 * math.log10(signal / noise) if noise and signal else math.inf,
        top1_agreement=float(np.average(quantized.argmax(1) == expected.argmax(1), weights=each)),
    )
