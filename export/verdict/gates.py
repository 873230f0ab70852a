"""The gates: how much a bundle may differ from PyTorch, and its variants from fp32, to be shipped.

    float32    gives PyTorch's best class on every image
    float16    loses at most 0.05 points of top-1
    int8       loses at most 0.3 points as a rule; 0.5 is worth a warning, 1.0 too much

The numbers of int8 are what published ResNets lose: 0.04 to 0.33 points with the right workflow.
Accuracy alone hides what errors that cancel each other do, hence the agreement with fp32.

One image more or less is no evidence where it weighs more than the limit, and few images cannot
show that little is lost: then a gate is "not shown", which is never a pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.errors import OptionError
from runtime.evaluation.statistics import Z95

__all__ = [
    "ACCURACY_GATES",
    "FAIL",
    "NOT_SHOWN",
    "PASS",
    "STATUSES",
    "TOLD",
    "WARN",
    "AccuracyGate",
    "drop_interval",
]

TOLD = "told"
PASS = "pass"
WARN = "warn"
NOT_SHOWN = "not shown"
FAIL = "fail"
STATUSES = (TOLD, PASS, WARN, NOT_SHOWN, FAIL)
"""From the best to the worst; what has no gate is told."""


@dataclass(frozen=True, kw_only=True)
class AccuracyGate:
    """What a variant may lose against fp32 on the same images.

    Raises:
        OptionError: if a limit is no number, or they are not in order.
    """

    usual_points: float
    """Points of top-1 that are no news."""
    warn_points: float
    """From here on a warning; what lies between is told."""
    fail_points: float
    """More than this fails."""
    least_agreement: float
    """Share of images, 0 to 1, that must get the same class as from fp32."""

    def __post_init__(self) -> None:
        limits = (self.usual_points, self.warn_points, self.fail_points)
        ordered = 0 <= limits[0] <= limits[1] <= limits[2] <= 100
        if not ordered or not 0 <= self.least_agreement <= 1:
            raise OptionError(
                f"gate: given usual, warn and fail points {', '.join(map(str, limits))} and least "
                f"agreement {self.least_agreement}; expected 0 <= usual <= warn <= fail <= 100 and "
                "an agreement from 0 to 1"
            )

    def judge_drop(self, images: int, became_wrong: int, became_right: int) -> str:
        """Return the status of what was lost: PASS, WARN, NOT_SHOWN or FAIL.

        Args:
            images: how many were answered by both.
            became_wrong: images that fp32 has right and the variant wrong.
            became_right: images that fp32 has wrong and the variant right.
        """
        lost = became_wrong - became_right
        drop, _, high = drop_interval(images, became_wrong, became_right)
        if drop > self.fail_points:
            return FAIL if lost > 1 else NOT_SHOWN
        if drop > self.usual_points and drop >= self.warn_points:
            return WARN if lost > 1 else NOT_SHOWN
        return PASS if high <= max(self.fail_points, 0) else NOT_SHOWN

    def judge_agreement(self, images: int, agreeing: int) -> str:
        """Return the status of the agreement: PASS, NOT_SHOWN or FAIL.

        Images are too few to tell where a single other answer would break the gate.
        """
        wanted = self.least_agreement * images
        if agreeing < wanted and images - agreeing > 1:
            return FAIL
        tells = images - 1 >= wanted or (images > 0 and self.least_agreement == 1)
        return PASS if tells and agreeing >= wanted else NOT_SHOWN


def drop_interval(images: int, became_wrong: int, became_right: int) -> tuple[float, float, float]:
    """Return how many points of top-1 are lost, and the ends of the 95 % interval.

    Both answered the same images, so that only those count that changed sides. The interval is
    that of Agresti and Min ("Simple improved confidence intervals for comparing matched
    proportions", 2005): Wald's, after one image was added to those that changed, half a side, and
    one to the others. It has a width where nothing changed, as it should, and ends where no more
    can be lost or gained.
    """
    if not images:
        return 0.0, -100.0, 100.0
    lost = became_wrong - became_right
    total = images + 2
    centre = lost / total
    spread = Z95 * math.sqrt(became_wrong + became_right + 1 - lost * lost / total) / total
    low, high = max(-1.0, centre - spread), min(1.0, centre + spread)
    return 100 * lost / images, 100 * low, 100 * high


ACCURACY_GATES = {
    "float16": AccuracyGate(
        usual_points=0.05, warn_points=0.05, fail_points=0.05, least_agreement=0.99
    ),
    "int8": AccuracyGate(usual_points=0.3, warn_points=0.5, fail_points=1.0, least_agreement=0.99),
}
"""By the precision of a variant. Float32 has none: it may lose nothing at all."""
