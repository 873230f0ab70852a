"""Compares a candidate's logits with a reference's, by a tolerance that is measured, not guessed.

A candidate passes when its error is at most a small multiple of the noise, on every case:

    error(x)  = max |x - reference|                      over all logits of the case
    ratio     = error(candidate) / noise                 see export.parity.truths
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.parity.report import CaseParity
from export.parity.truths import Truth
from runtime.runner import Logits, Runner

__all__ = ["FLOAT32_TOLERANCE", "Tolerance", "compare"]

TINY = 1e-200
"""Stands in for zero in a divisor."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How many times the noise an error may be."""

    noise_multiple: float


# Faultless graphs of the catalogue reach 1.1 to 3.0 in ONNX Runtime with AVX-512 (3.0 where it sums
# 16,384 values of a 512x512 image in another order); one channel's bias off by 0.1 % reaches 4 to
# 300 if the channel does much, and compare_weights finds it if it does not.
FLOAT32_TOLERANCE = Tolerance(noise_multiple=5.0)


def compare(
    truths: Sequence[Truth], candidate: Runner, tolerance: Tolerance, advance: Callable[[], None]
) -> tuple[CaseParity, ...]:
    """Return how the candidate did on each case.

    A candidate that answers with NaN, infinity or another shape fails the case.

    Args:
        truths: the cases with their right answers.
        candidate: what is judged.
        tolerance: how it is judged.
        advance: called after each case, for whoever shows progress.
    """
    judged = []
    for truth in truths:
        judged.append(_judge(truth, candidate.logits(truth.case.images), tolerance))
        advance()
    return tuple(judged)


def _judge(truth: Truth, actual: Logits, tolerance: Tolerance) -> CaseParity:
    expected = truth.logits
    finite = bool(np.isfinite(actual).all())
    unusable = CaseParity(
        content=truth.case.content,
        shape=truth.case.images.shape,
        scale=truth.scale,
        noise=truth.noise,
        error=None,
        ratio=None,
        cosine=0.0,
        sqnr_db=0.0,
        top1_agreement=0.0,
        finite=finite,
        worst_image=0,
        passed=False,
    )
    if not finite or actual.shape != expected.shape:
        return unusable
    actual = actual.astype(np.float64)
    difference = actual - expected
    error = float(np.abs(difference).max())
    ratio = error / max(truth.noise, TINY)
    return replace(
        unusable,
        error=error,
        ratio=ratio,
        cosine=_cosine(expected, actual),
        sqnr_db=_sqnr_db(expected, difference),
        top1_agreement=float((actual.argmax(1) == expected.argmax(1)).mean()),
        worst_image=int(np.abs(difference).max(axis=1).argmax()),
        passed=ratio <= tolerance.noise_multiple,
    )


def _cosine(a: Logits, b: Logits) -> float:
    product = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.vdot(a, b)) / product if product else 1.0


def _sqnr_db(expected: Logits, difference: Logits) -> float:
    signal, noise = float(np.square(expected).sum()), float(np.square(difference).sum())
    return 10 * math.log10(max(signal, TINY) / max(noise, TINY))
