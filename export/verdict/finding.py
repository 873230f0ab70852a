"""Finding: one measurement beside its gate; Verdict: all of them, and what they come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from export.verdict.gates import FAIL, NOT_SHOWN, STATUSES, WARN

__all__ = ["Finding", "Verdict"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured, what it had to be, and whether it is."""

    area: str
    """What was asked: "integrity", "parity", "accuracy" ..."""
    subject: str
    """Of what: "fp32", "int8.cpu", "bundle"."""
    measured: str
    """For a person: "0.19 points lost"."""
    gate: str
    """For a person: "at most 0.3"."""
    status: str
    """One of `export.verdict.gates.STATUSES`."""
    value: float | None = None
    """What was measured, in `unit`; None where it is no number."""
    low: float | None = None
    """Lower end of the 95 % interval; None where there is none."""
    high: float | None = None
    """Upper end of it."""
    unit: str = ""
    remark: str = ""
    """What else there is to know, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a bundle may ship."""

    bundle: str
    model: str
    data: str
    """The labelled images, as they were given."""
    findings: tuple[Finding, ...]
    strict: bool
    """What is not shown counts as failed."""

    @property
    def passed(self) -> bool:
        """True if nothing failed, nor anything that counts as failed."""
        failing = (FAIL, NOT_SHOWN) if self.strict else (FAIL,)
        return all(finding.status not in failing for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have each status."""
        found = Counter(finding.status for finding in self.findings)
        return {status: found[status] for status in STATUSES}

    @property
    def by_urgency(self) -> tuple[Finding, ...]:
        """The findings, what failed first; of equals, in the order they were made."""
        return tuple(sorted(self.findings, key=lambda finding: -STATUSES.index(finding.status)))

    @property
    def headline(self) -> str:
        """The verdict in a few words."""
        if not self.passed:
            return "must not ship"
        return "may ship" if self.reservations == "" else "may ship, with reservations"

    @property
    def reservations(self) -> str:
        """How many findings are short of a pass, in words; "" if none is."""
        words = {FAIL: "failed", WARN: "warned of", NOT_SHOWN: "not shown"}
        found = self.counts
        return ", ".join(f"{found[s]} {word}" for s, word in words.items() if found[s])
