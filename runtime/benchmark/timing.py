"""Times a function in one process: until it is warm, then in windows.

warm      five runs take as long as the five before them, to 5 %, by their medians
a window  half a second of runs, and at least three; the first tenth of it does not count,
          because another process had the caches before
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

__all__ = ["PACE", "Clock", "Pace", "peak_mib", "time_window", "warm_up"]

Clock: TypeAlias = Callable[[], float]
"""Tells the seconds since some moment."""

_GROUP = 5
_STABLE = 0.05


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long warming up and a window may last."""

    warm_up_seconds: float = 5.0
    """Longest; what is not warm by then never will be."""
    window_seconds: float = 0.5
    window_runs: int = 3
    """Fewest in a window."""


PACE = Pace()
"""What is measured with unless told otherwise."""


def warm_up(run: Callable[[], object], pace: Pace, clock: Clock = time.perf_counter) -> int:
    """Run until it is warm, and return how many runs that took."""
    taken: list[float] = []
    while sum(taken) < pace.warm_up_seconds or len(taken) < pace.window_runs:
        taken.append(_time(run, clock))
        if len(taken) >= 2 * _GROUP:
            before = statistics.median(taken[-2 * _GROUP : -_GROUP])
            if abs(statistics.median(taken[-_GROUP:]) / before - 1) <= _STABLE:
                break
    return len(taken)


def time_window(
    run: Callable[[], object], pace: Pace, clock: Clock = time.perf_counter
) -> list[float]:
    """Return the milliseconds of each run of a window that counts."""
    start = clock()
    settled, end = (start + pace.window_seconds * share for share in (0.1, 1.1))
    taken: list[float] = []
    run()
    while clock() < settled:
        run()
    while len(taken) < pace.window_runs or clock() < end:
        taken.append(_time(run, clock) * 1000)
    return taken


def peak_mib() -> float:
    """Return this process's largest resident memory so far; 0 where that cannot be found out.

    Not from getrusage: there a process begins with the peak of the one that started it.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _time(run: Callable[[], object], clock: Clock) -> float:
    start = clock()
    run()
    return clock() - start
