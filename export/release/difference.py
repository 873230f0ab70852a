"""Difference: one thing that is not what it was; Comparison: all of them, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass

from export.verdict.gates import FAIL, NOT_SHOWN, STATUSES, WARN

__all__ = ["Comparison", "Difference"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What it was, what it is, and whether that is worse than may be."""

    area: str
    """"weights", "preprocessing", "accuracy" ..."""
    subject: str
    """Of what: "fp32", "layer3.0.conv2", "mean"."""
    before: str
    """For a person."""
    after: str
    status: str
    """One of `export.verdict.gates.STATUSES`; "told" where there is no gate."""
    gate: str = ""
    """What it may come to, for a person: "-0.5 points", "x 1.1"."""
    remark: str = ""
    """What else there is to know, in a sentence."""
    change: float | None = None
    """What changed, as a number in `unit`; None where it is none."""
    low: float | None = None
    """Lower end of the 95 % interval; None where there is none."""
    high: float | None = None
    """Upper end of it."""
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two releases, the older first."""

    before: str
    after: str
    model: str
    identical: bool
    """Every file is the same."""
    differences: tuple[Difference, ...]
    """In the order of what they are about."""
    same: tuple[str, ...]
    """The areas in which nothing changed."""
    not_compared: tuple[str, ...]
    """What could not be compared, and why; a sentence each."""
    strict: bool
    """What few images cannot show counts as worse."""

    @property
    def failed(self) -> tuple[Difference, ...]:
        """The differences that are worse than may be."""
        failing = (FAIL, NOT_SHOWN) if self.strict else (FAIL,)
        return tuple(each for each in self.differences if each.status in failing)

    @property
    def warned(self) -> tuple[Difference, ...]:
        """The differences that a person should look at."""
        return tuple(
            each
            for each in self.differences
            if each.status in (WARN, NOT_SHOWN) and each not in self.failed
        )

    @property
    def by_urgency(self) -> tuple[Difference, ...]:
        """The differences, the worst first; of equals, in their order."""
        return tuple(sorted(self.differences, key=lambda each: -STATUSES.index(each.status)))
