"""Judges a candidate's logits against a reference, with a tolerance that is measured, not guessed.

The reference is PyTorch in float64. Float32 PyTorch, run on the same images, shows what float32
rounding alone does to this model: that is the noise. A candidate passes when its own error is at
most a small multiple of that noise, on every case.

    error(x)  = max |x - reference|                      over all logits of the case
    noise     = max(error(float32 PyTorch),
                    median over cases of error(float32 PyTorch) / scale, times this scale,
                    2 machine epsilons times this scale)  with scale = max |reference|
    ratio     = error(candidate) / noise

The median keeps a case of few logits, in which PyTorch happened to round well, from failing an
innocent candidate; the epsilons are what the last layer's own sum of products cannot be spared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from runtime.runner import Images, Logits, Runner

__all__ = [
    "FLOAT32_TOLERANCE",
    "Case",
    "CaseParity",
    "ParityReport",
    "Tolerance",
    "Truth",
    "WeightParity",
    "answer",
    "compare",
]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How many times the noise an error may be."""

    noise_multiple: float


# Faultless graphs of the catalogue reach 1.1 to 3.0 in ONNX Runtime with AVX-512 (3.0 where it sums
# 16,384 values of a 512x512 image in another order); one channel's bias off by 0.1 % reaches 4 to
# 300 if the channel does much, and compare_weights finds it if it does not.
FLOAT32_TOLERANCE = Tolerance(noise_multiple=5.0)

WEIGHT_GAP = 4 * float(np.finfo(np.float32).eps)
FLOOR = 2 * float(np.finfo(np.float32).eps)
TINY = 1e-200
"""Stands in for zero in a divisor."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One batch to compare on."""

    content: str
    """What the images show, for a person: "photograph china.jpg", "random normal"."""
    images: Images


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A case with its right answer."""

    case: Case
    logits: Logits
    """float64 [batch, classes], from the reference."""
    noise: float
    """Largest logit error that float32 rounding explains."""


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


def answer(cases: Iterable[Case], reference: Runner, baseline: Runner) -> tuple[Truth, ...]:
    """Return each case with the reference's answer and the noise of the baseline against it.

    Args:
        cases: what to compare on; read once.
        reference: PyTorch in float64.
        baseline: the same module in float32.
    """
    answered = [
        (case, reference.logits(case.images), baseline.logits(case.images)) for case in cases
    ]
    scales = [_largest(truth) for _, truth, _ in answered]
    errors = [_largest(rounded - truth) for _, truth, rounded in answered]
    typical = float(np.median([e / s if s else 0.0 for e, s in zip(errors, scales, strict=True)]))
    return tuple(
        Truth(case=case, logits=truth, noise=max(error, max(typical, FLOOR) * scale))
        for (case, truth, _), error, scale in zip(answered, errors, scales, strict=True)
    )


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
    expected, shape = truth.logits, truth.case.images.shape
    finite = bool(np.isfinite(actual).all())
    scale = _largest(expected)
    if not finite or actual.shape != expected.shape:
        return CaseParity(
            content=truth.case.content,
            shape=shape,
            scale=scale,
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
    actual = actual.astype(np.float64)
    difference = actual - expected
    error = _largest(difference)
    ratio = error / max(truth.noise, TINY)
    return CaseParity(
        content=truth.case.content,
        shape=shape,
        scale=scale,
        noise=truth.noise,
        error=error,
        ratio=ratio,
        cosine=_cosine(expected, actual),
        sqnr_db=_sqnr_db(expected, difference),
        top1_agreement=float((actual.argmax(1) == expected.argmax(1)).mean()),
        finite=True,
        worst_image=int(np.abs(difference).max(axis=1).argmax()),
        passed=ratio <= tolerance.noise_multiple,
    )


def _largest(values: Logits) -> float:
    return float(np.abs(values).max())


def _cosine(a: Logits, b: Logits) -> float:
    product = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.vdot(a, b)) / product if product else 1.0


def _sqnr_db(expected: Logits, difference: Logits) -> float:
    signal, noise = float(np.square(expected).sum()), float(np.square(difference).sum())
    return 10 * math.log10(max(signal, TINY) / max(noise, TINY))
