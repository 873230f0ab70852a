"""Right answers to the cases of the parity grid, and how far float32 rounding alone is off them.

The reference is PyTorch in float64. Float32 PyTorch, run on the same images, shows what float32
rounding alone does to this model: that is the noise.

    noise     = max(error(float32 PyTorch),
                    median over cases of error(float32 PyTorch) / scale, times this scale,
                    2 machine epsilons times this scale)  with scale = max |reference|

The median keeps a case of few logits, in which PyTorch happened to round well, from failing an
innocent candidate; the epsilons are what the last layer's own sum of products cannot be spared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from runtime.runner import Images, Logits, Runner

__all__ = ["Case", "Truth", "answer"]

FLOOR = 2 * float(np.finfo(np.float32).eps)


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

    @property
    def scale(self) -> float:
        """Largest absolute logit."""
        return _largest(self.logits)


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


def _largest(values: Logits) -> float:
    return float(np.abs(values).max())
