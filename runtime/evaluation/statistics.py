"""The statistics of right and wrong answers: intervals, tests, calibration.

Written here and not taken from SciPy, which a device need not have; each is a formula or two.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.evaluation.document import CalibrationBin
from runtime.share import Share

__all__ = ["Z95", "calibration_bins", "calibration_error", "p_worse", "wilson"]

Z95 = 1.959963984540054
"""The normal distribution's 97.5 % quantile: 2.5 % lie beyond either end of the interval."""

_BINS = 15
"""Of equal width, as in Guo et al., "On Calibration of Modern Neural Networks" (2017)."""


def wilson(count: int, of: int) -> Share:
    """Return a share with its 95 % interval (Wilson 1927, the score interval).

    Unlike the one of the schoolbook it never leaves 0 to 1 and is right near both ends, where
    accuracies lie.
    """
    if not of:
        return Share(count=0, of=0, low=0.0, high=1.0)
    share, squared = count / of, Z95 * Z95
    centre = share + squared / (2 * of)
    spread = Z95 * math.sqrt(share * (1 - share) / of + squared / (4 * of * of))
    whole = 1 + squared / of
    # At the ends the interval begins exactly there; rounding would put it beside.
    low = 0.0 if count == 0 else (centre - spread) / whole
    high = 1.0 if count == of else (centre + spread) / whole
    return Share(count=count, of=of, low=low, high=high)


def p_worse(became_wrong: int, became_right: int) -> float:
    """Return McNemar's exact one-sided p-value: small if one of two classifiers is worse.

    Images that both have right or both have wrong say nothing. Of the n others each would become
    wrong or right with equal probability, were the two as good as each other:

        p = P(X >= became_wrong)  for X ~ Binomial(n, 1/2)
    """
    n = became_wrong + became_right
    tail = term = math.comb(n, became_wrong)
    for k in range(became_wrong + 1, n + 1):
        term = term * (n - k + 1) // k
        tail += term
    share: float = tail / 2**n  # of integers: exact, however large they are
    return share


def calibration_bins(
    confidence: NDArray[np.float64], right: NDArray[np.bool_]
) -> tuple[CalibrationBin, ...]:
    """Return the images' confidence and accuracy by confidence, in 15 bins of equal width.

    Args:
        confidence: [images], the probability of the most probable class.
        right: [images], whether that class is the true one.
    """
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, _BINS - 1)
    images = np.bincount(place, minlength=_BINS)
    sums = np.bincount(place, confidence, _BINS)
    hits = np.bincount(place, right, _BINS)
    return tuple(
        CalibrationBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            images=int(images[i]),
            confidence=float(sums[i] / max(1, images[i])),
            accuracy=float(hits[i] / max(1, images[i])),
        )
        for i in range(_BINS)
    )


def calibration_error(bins: tuple[CalibrationBin, ...]) -> float:
    """Return the expected calibration error: the mean gap of confidence and accuracy, by images."""
    total = sum(each.images for each in bins)
    gaps = sum(each.images * abs(each.confidence - each.accuracy) for each in bins)
    return gaps / total if total else 0.0
