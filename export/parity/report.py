"""The report on parity: how a candidate did on each case, and how far its weights are off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["PARITY_FILE", "CaseParity", "ParityReport", "WeightParity"]

PARITY_FILE = "parity.json"
"""Of a bundle: the report on fp32."""

WEIGHT_GAP = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class CaseParity:
    """How a candidate did on one case."""

    content: str
    shape: tuple[int, ...]
    """[batch, channels, height, width]"""
    scale: float
    """Largest absolute logit of the reference."""
    noise: float
    error: float | None
    """Largest absolute logit error of the candidate; None for NaN, Inf or another shape."""
    ratio: float | None
    """error / noise"""
    cosine: float
    """Between all logits of the case, flattened."""
    sqnr_db: float
    """10 log10(sum(reference^2) / sum(error^2)), in decibel."""
    top1_agreement: float
    """Share of images with the same best class, 0 to 1."""
    finite: bool
    """No NaN and no infinity."""
    worst_image: int
    """Index into the batch of the image with the largest error, so that a person can open it."""
    passed: bool


@dataclass(frozen=True, kw_only=True)
class WeightParity:
    """How far a graph's weights are from those of the module it was traced from."""

    layers: int
    """How many convolutions and matrix products were compared."""
    not_compared: tuple[str, ...]
    """Those that the module does not have under the same name and shape."""
    largest_gap: float
    """Largest difference, as a share of the largest weight of its output channel."""
    worst_layer: str
    """Where that is; empty when nothing was compared."""

    @property
    def passed(self) -> bool:
        """True if no weight differs by more than a rounding."""
        return self.largest_gap <= WEIGHT_GAP


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """The verdict on one candidate."""

    reference: str
    baseline: str
    candidate: str
    noise_multiple: float
    cases: tuple[CaseParity, ...]
    weights: WeightParity | None = None
    """None where the weights cannot be compared one by one, as in another precision."""

    @property
    def passed(self) -> bool:
        """True if every case passed, there was one, and the weights are right."""
        right = self.weights is None or self.weights.passed
        return right and bool(self.cases) and all(case.passed for case in self.cases)

    @property
    def worst(self) -> CaseParity:
        """The case with the largest ratio of error to noise."""
        return max(self.cases, key=lambda case: math.inf if case.ratio is None else case.ratio)
