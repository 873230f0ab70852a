"""Lets contestants run in turn, window by window, until each one's windows agree.

In every round each contestant has one window, and every other round goes through them backwards:
a machine that grows slower over time then slows all of them alike. A contestant has settled when
three windows one after another have medians within 5 % of each other; the rounds end when all
have, or after ten. What counts in the end are the runs of all rounds, so that every contestant saw
the same machine.

The rule of three windows is that of NVIDIA's perf_analyzer, which allows 10 %.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["AGREEMENT", "RULE", "Rule", "Timed", "take_turns"]

RULE = (
    "windows of half a second or three runs, in turn; settled when three in a row have medians "
    "within 5 %, at most ten"
)


AGREEMENT = 0.05
"""How much the medians of windows may differ that agree, as a share of the smallest."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When windows agree."""

    agreeing: int = 3
    spread: float = AGREEMENT
    """Largest over smallest median of the agreeing windows, less 1."""
    fewest: int = 3
    most: int = 10


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What a contestant's windows took."""

    windows: tuple[tuple[float, ...], ...]
    """The milliseconds of each run, by window, in order."""
    settled: bool
    """Whether the windows came to agree."""

    @property
    def runs(self) -> list[float]:
        """All runs of all windows."""
        return [ms for window in self.windows for ms in window]

    @property
    def medians(self) -> list[float]:
        """Of each window."""
        return [statistics.median(window) for window in self.windows]


def take_turns(
    contestants: Sequence[Callable[[], Sequence[float]]],
    rule: Rule,
    advance: Callable[[], None],
) -> list[Timed]:
    """Return what each contestant's windows took.

    Args:
        contestants: each runs one window and returns the milliseconds of its runs.
        rule: when to stop.
        advance: called after each window.
    """
    windows: list[list[tuple[float, ...]]] = [[] for _ in contestants]
    order = list(range(len(contestants)))
    for number in range(rule.most):
        for index in order if number % 2 == 0 else reversed(order):
            windows[index].append(tuple(contestants[index]()))
            advance()
        if number + 1 >= rule.fewest and all(_settled(each, rule) for each in windows):
            break
    return [Timed(windows=tuple(each), settled=_settled(each, rule)) for each in windows]


def _settled(windows: Sequence[Sequence[float]], rule: Rule) -> bool:
    medians = [statistics.median(window) for window in windows]
    groups = (
        medians[first : first + rule.agreeing] for first in range(len(medians) - rule.agreeing + 1)
    )
    return any(max(group) <= min(group) * (1 + rule.spread) for group in groups)
