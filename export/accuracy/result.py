"""What a diagnosis found."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.share import Share

__all__ = ["Cause", "Diagnosis", "Trial"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One change that was tried, beside what it was tried on."""

    change: str
    cure: str
    top1: Share
    """With the change, over the images it was tried on."""
    before: Share
    """Without it, over the same images."""
    became_right: int
    became_wrong: int
    points: float
    """Of top-1 that it gains."""
    low: float
    high: float
    """The ends of the 95 % interval of the gain, in points."""
    p: float
    """How probable so many would have become right, were the change for nothing: McNemar's exact
    test, one-sided, times the number of changes that were tried."""

    @property
    def helps(self) -> bool:
        """True if the gain is no accident."""
        return self.p < SIGNIFICANT and self.points > 0


SIGNIFICANT = 0.01
"""Largest p that a cause may have."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A change that helps."""

    trial: Trial
    as_good: tuple[str, ...]
    """Other changes that could not be told from it on these images."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why a model is less accurate than it could be, as far as the changes tell."""

    bundle: str
    model: str
    data: str
    images: int
    classes: int
    top1: Share
    """Of the bundle as it is."""
    top1_cured: Share
    """With all causes mended; as it is if there are none."""
    causes: tuple[Cause, ...]
    """Found one after the other, each on top of those before it."""
    trials: tuple[Trial, ...]
    """All that were tried on the bundle as it is, the best first."""
    notes: tuple[str, ...]
    """What else is to be known."""
