"""The parity of a variant of lower precision, and the golden tolerances that follow from it.

A golden tolerance says how far a device may be from PyTorch's recorded answer. A variant of lower
precision is off that answer to begin with, by what its rounding costs; another device rounds at
other places, and comes out as far off, but elsewhere:

    error(i)      = max |variant - PyTorch|  on golden input i, as ONNX Runtime computes the variant
    tolerance(i)  = DEVICE_MULTIPLE max(error(i), median over golden inputs of error / scale, times
                    scale(i))                with scale = max |PyTorch|

The median keeps an input on which the variant happened to be near from failing an innocent device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.parity.compare import Tolerance, compare
from export.parity.report import CaseParity
from export.parity.truths import Truth
from export.variants.made import MadeVariant
from runtime.errors import VerdictError
from runtime.judgement import Judgement
from runtime.onnx_runner import OnnxRunner
from runtime.open_runner import PLACED_FOR_TENSORRT

__all__ = ["VariantParity", "compare_variant", "golden_tolerances"]

DEVICE_MULTIPLE = {"float16": 4.0, "int8": 2.0}
"""How many times its error here a variant may be off elsewhere. ONNX Runtime rounds to float16
between operators and sums in float32; a GPU may sum in float16 as well. Integers sum exactly
everywhere; devices differ in the roundings between, which cost about the same again."""

_ANY = Tolerance(noise_multiple=float("inf"))


@dataclass(frozen=True, kw_only=True)
class VariantParity:
    """The parity of a variant of lower precision: on real images, and on the grid of shapes."""

    reference: str
    candidate: str
    judgement: Judgement
    cases: tuple[CaseParity, ...]
    """A case passes where its answer is finite and of the right shape. How near it is to the
    reference is judged on real images, and recorded in the golden tolerances."""


def compare_variant(
    made: MadeVariant, truths: Sequence[Truth], judgement: Judgement
) -> VariantParity:
    """Return how a variant does on the cases of the parity grid.

    Args:
        made: the variant.
        truths: the cases with PyTorch's answers.
        judgement: of the variant, on real images.

    Raises:
        VerdictError: if an answer is not finite, or of another shape.
    """
    as_written = made.placement == PLACED_FOR_TENSORRT
    runner = OnnxRunner.open(made.data, as_written=as_written)
    cases = compare(truths, runner, _ANY, lambda: None)
    for case in cases:
        if not case.passed:
            shape = "x".join(map(str, case.shape))
            raise VerdictError(
                f"{made.name} gives NaN, infinity or another shape on {shape}, {case.content}; "
                "nothing was published"
            )
    return VariantParity(
        reference="torch float64",
        candidate=f"{made.name} in {runner.name}",
        judgement=judgement,
        cases=cases,
    )


def golden_tolerances(cases: Sequence[CaseParity], precision: str) -> tuple[float, ...]:
    """Return the largest logit error a device may have on each golden case.

    Args:
        cases: the golden ones.
        precision: of the variant.
    """
    errors = [case.error or 0.0 for case in cases]
    scales = [case.scale for case in cases]
    typical = float(np.median([e / s if s else 0.0 for e, s in zip(errors, scales, strict=True)]))
    multiple = DEVICE_MULTIPLE[precision]
    return tuple(
        multiple * max(error, typical * scale) for error, scale in zip(errors, scales, strict=True)
    )
