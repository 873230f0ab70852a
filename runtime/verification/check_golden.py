"""Checks answers to a bundle's golden inputs against those that PyTorch gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runtime.bundle import Bundle
from runtime.errors import BackendError, BundleError
from runtime.manifest import GoldenCase
from runtime.variant import Variant
from runtime.verification.check import Check
from runtime.verification.read_golden import read_golden

if TYPE_CHECKING:
    from runtime.runner import Runner

__all__ = ["TF32_GAP", "Candidate", "check_golden"]

TF32_GAP = 5e-3
"""Largest difference of an engine that was allowed TF32, as a share of the largest logit: TF32
keeps as many bits as float16, for which NVIDIA's guide to strong typing takes this tolerance."""


@dataclass(frozen=True)
class Candidate:
    """What is to be compared with PyTorch's answers."""

    name: str
    variant: Variant
    runner: Runner
    accepts: Callable[[tuple[int, ...]], bool] = lambda shape: True
    """Whether it can run images of a shape; an input it cannot is skipped."""
    tf32: bool = False
    """Whether it was allowed to round to TF32."""


def check_golden(bundle: Bundle, candidate: Candidate, sound: set[str]) -> Iterator[Check]:
    """Yield how the candidate answered each golden input whose files can be trusted.

    Args:
        bundle: where the inputs and PyTorch's answers are.
        candidate: what is run, within the variant's tolerances.
        sound: paths of the files that are what was published.
    """
    tolerances = candidate.variant.golden_tolerances
    for case, tolerance in zip(bundle.manifest.golden, tolerances, strict=True):
        if sound.issuperset(case.files(len(candidate.variant.outputs))):
            yield _check_case(bundle, candidate, case, tolerance)


def _check_case(bundle: Bundle, candidate: Candidate, case: GoldenCase, tolerance: float) -> Check:
    name = f"{candidate.name} {case.folder}"
    try:
        images, expected = read_golden(bundle, case, candidate.variant)
        if not candidate.accepts(images.shape):
            shape = "x".join(map(str, images.shape))
            given = f"{case.content}, {shape}, is outside its profiles"
            return Check(name=name, given=given, expected="logits", passed=True, skipped=True)
        logits = candidate.runner.logits(images)
    except (BundleError, BackendError) as error:
        return Check(name=name, given=str(error), expected="logits", passed=False)
    if logits.shape != expected.shape:
        return Check.of(name, f"logits {list(logits.shape)}", f"logits {list(expected.shape)}")
    gap = np.abs(logits.astype(np.float64) - expected).max(initial=0.0)
    if candidate.tf32:
        tolerance = max(tolerance, TF32_GAP * float(np.abs(expected).max(initial=0.0)))
    return Check(
        name=name,
        given=f"off by {gap:.2g} on {case.content}",
        expected=f"off by at most {tolerance:.2g}",
        passed=bool(gap <= tolerance),  # NaN is not
    )
