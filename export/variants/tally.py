"""Counts what a variant does beside its reference, image by image, and asks the gates about it.

    signal to noise    of all logits; exact on few images, so it has a floor of its own
    agreement          the share of images with the same best class, and its Wilson interval
    top-1 drop         where true classes are known, image by image, and its interval

The last two are judged by the gates of `export.verdict.gates`, which also say when the images are
too few to show anything. Weights drawn at random and heads without classes have no top-1 worth the
name; of them only the signal to noise is judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.variants.evaluation import UNKNOWN
from export.verdict.gates import (
    ACCURACY_GATES,
    FAIL,
    NOT_SHOWN,
    PASS,
    STATUSES,
    WARN,
    AccuracyGate,
    drop_interval,
)
from runtime.evaluation.statistics import wilson
from runtime.judgement import Judgement, Paired
from runtime.runner import Logits

__all__ = ["LEAST_SQNR_DB", "Tally", "conclude"]

LEAST_SQNR_DB = {"float16": 45.0, "int8": 10.0}
"""Below, a graph is broken, whatever few images say of its classes. Sound ResNets were measured at
70 dB and more in float16. In int8 they reach 37 to 44 dB, but 13 with two classes and smoothed
labels: small logits, whose order the noise does not change."""

_MOST_DB = 200.0
"""What no noise at all is told as, and, negative, NaN: infinity would be no JSON."""
_TINY = 1e-200


@dataclass
class Tally:
    """What was seen of one variant beside its reference."""

    images: int = 0
    signal: float = 0.0
    noise: float = 0.0
    agreeing: int = 0
    known: int = 0
    reference_right: int = 0
    became_wrong: int = 0
    became_right: int = 0
    finite: bool = field(default=True)

    def add(self, truth: Logits, answer: Logits, classes: NDArray[np.intp]) -> None:
        """Count images in.

        Args:
            truth: what the reference says, [images, classes].
            answer: what the variant does.
            classes: the true class of each; UNKNOWN where it is not told.
        """
        given = answer.astype(np.float64)
        self.finite &= bool(np.isfinite(given).all())
        self.images += len(truth)
        self.signal += float(np.square(truth).sum())
        self.noise += float(np.square(given - truth).sum())
        expected, found = truth.argmax(1), given.argmax(1)
        self.agreeing += int((expected == found).sum())
        labelled = classes != UNKNOWN
        right, kept = (expected == classes)[labelled], (found == classes)[labelled]
        self.known += int(labelled.sum())
        self.reference_right += int(right.sum())
        self.became_wrong += int((right & ~kept).sum())
        self.became_right += int((~right & kept).sum())

    @property
    def sqnr_db(self) -> float:
        """Signal to noise in decibel, from -_MOST_DB to _MOST_DB."""
        if not self.finite:
            return -_MOST_DB
        if not self.noise:
            return _MOST_DB
        decibel = 10 * (math.log10(max(self.signal, _TINY)) - math.log10(self.noise))
        return min(max(decibel, -_MOST_DB), _MOST_DB)


def conclude(precision: str, tally: Tally, source: str, *, ranked: bool) -> Judgement:
    """Return what the gates of a precision say, the worst first.

    Args:
        precision: "float16" or "int8".
        tally: of all images.
        source: where they come from, for a person, as it goes on after their number.
        ranked: the outputs are logits of trained classes; else only their noise is judged.
    """
    top1 = _paired(tally)
    found = [_judge_noise(precision, tally)]
    if ranked:
        found += _judge_classes(ACCURACY_GATES[precision], tally, top1)
    else:
        found.append((PASS, "no trained classes: judged by signal to noise alone"))
    found.sort(key=lambda each: -STATUSES.index(each[0]))
    return Judgement(
        source=f"{tally.images} {source}",
        sqnr_db=tally.sqnr_db,
        agreement=wilson(tally.agreeing, tally.images),
        top1=top1,
        status=found[0][0],
        remarks=tuple(remark for _, remark in found if remark),
    )


def _judge_noise(precision: str, tally: Tally) -> tuple[str, str]:
    least = LEAST_SQNR_DB[precision]
    if tally.sqnr_db >= least:
        return PASS, ""
    found = f"{tally.sqnr_db:.1f} dB" if tally.finite else "NaN or infinity"
    return FAIL, f"signal to noise: {found}; expected {least:g} dB at least"


def _judge_classes(
    gate: AccuracyGate, tally: Tally, top1: Paired | None
) -> Iterator[tuple[str, str]]:
    status = gate.judge_agreement(tally.images, tally.agreeing)
    share = wilson(tally.agreeing, tally.images)
    interval = f"{share.low:.2%} to {share.high:.2%}"
    found = f"agreement {share.value:.2%} ({interval}) of {share.of} images"
    told = {
        PASS: "",
        NOT_SHOWN: f"{found}: too few to show {gate.least_agreement:.0%} at least",
        FAIL: f"{found}; expected {gate.least_agreement:.0%} at least",
    }
    yield status, told[status]
    if top1 is None:
        return
    status = gate.judge_drop(top1.images, top1.became_wrong, top1.became_right)
    interval = f"{top1.drop_low:.2f} to {top1.drop_high:.2f}"
    found = f"top-1 drop {top1.drop_points:.2f} points ({interval}) on {top1.images} images"
    expected = f"expected {gate.usual_points:g} at most"
    remarks = {
        PASS: "",
        WARN: f"{found}; {expected}",
        NOT_SHOWN: f"{found}: too few to show that it is {gate.fail_points:g} at most",
        FAIL: f"{found}; {expected}, and never above {gate.fail_points:g}",
    }
    yield status, remarks[status]


def _paired(tally: Tally) -> Paired | None:
    if not tally.known:
        return None
    changed = (tally.became_wrong, tally.became_right)
    points, low, high = drop_interval(tally.known, *changed)
    return Paired(
        images=tally.known,
        reference_right=tally.reference_right,
        variant_right=tally.reference_right - tally.became_wrong + tally.became_right,
        became_wrong=tally.became_wrong,
        became_right=tally.became_right,
        drop_points=points,
        drop_low=low,
        drop_high=high,
    )
