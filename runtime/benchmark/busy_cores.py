"""Tells how many cores others use at this moment."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["busy_cores"]

_STAT = Path("/proc/stat")
_IDLE = (3, 4)
"""Columns that count idle time: idle and iowait; https://docs.kernel.org/filesystems/proc.html."""
_KINDS = 8
"""From there on columns repeat what is in the first: guests are users, too."""


def busy_cores(seconds: float = 0.3) -> float:
    """Return how many cores are used while this process waits for some seconds.

    Where Linux does not tell, it is the load average of the last minute, this process included; 0
    where nobody tells.
    """
    try:
        start, before = time.monotonic(), _busy_ticks()
        time.sleep(seconds)  # on a busy machine it takes longer
        busy_seconds = (_busy_ticks() - before) / os.sysconf("SC_CLK_TCK")
        return busy_seconds / (time.monotonic() - start)
    except (OSError, ValueError):
        return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _busy_ticks() -> int:
    with _STAT.open(encoding="ascii") as file:
        ticks = [int(count) for count in file.readline().split()[1 : 1 + _KINDS]]
    return sum(count for column, count in enumerate(ticks) if column not in _IDLE)
