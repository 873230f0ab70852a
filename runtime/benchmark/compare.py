"""Compares two benchmarks case by case, if the machines are alike."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.benchmark.document import Benchmark, Case, Measurement
from runtime.benchmark.machine import Machine, differences
from runtime.benchmark.take_turns import AGREEMENT
from runtime.errors import OptionError

__all__ = ["Compared", "check_alike", "compare"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A case that both benchmarks have."""

    case: Case
    before: Measurement
    after: Measurement

    @property
    def ratio(self) -> float:
        """The median latency now over that before: below 1 is faster."""
        return self.after.p50_ms / self.before.p50_ms

    @property
    def changed(self) -> bool:
        """Whether no window of the one was as fast as any of the other, by more than they agree."""
        before, after = self.before.windows_ms, self.after.windows_ms
        apart = min(before) > max(after) or min(after) > max(before)
        return apart and abs(self.ratio - 1) > AGREEMENT


def check_alike(given: Machine, expected: Machine) -> None:
    """Return if times of the two machines say something about each other.

    Raises:
        OptionError: if they differ in anything that decides how fast a model runs.
    """
    unlike = differences(given, expected)
    if unlike:
        raise OptionError(
            f"--compare: unlike machines do not compare: {'; '.join(unlike)}; run that bench on "
            "this machine first"
        )


def compare(before: Benchmark, after: Benchmark) -> list[Compared]:
    """Return the cases that both have, in the order of the later.

    Raises:
        OptionError: if the machines differ in anything that decides how fast a model runs, or no
            case is in both.
    """
    check_alike(after.machine, before.machine)
    known = {each.case: each for each in before.measurements}
    both = [
        Compared(case=each.case, before=known[each.case], after=each)
        for each in after.measurements
        if each.case in known
    ]
    if not both:
        raise OptionError(
            "--compare: the two have no case in common; name the same variants, "
            "batches, sizes, threads and providers"
        )
    return both
