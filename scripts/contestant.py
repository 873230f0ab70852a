"""A contestant of a comparison: a command, and what its processes cost so far."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field

__all__ = ["Contestant"]


@dataclass
class Contestant:
    """One way to do the work."""

    name: str
    command: list[str]
    seconds: list[float] = field(default_factory=list)
    """Of each run, a whole process with its imports."""
    peak_mib: float = 0.0
    """Resident, of its largest process."""

    def run(self) -> str:
        """Do the work once, in a process of its own; return what it printed."""
        start = time.perf_counter()
        with tempfile.TemporaryFile("w+") as messages:
            child = subprocess.Popen(
                self.command, stdout=subprocess.PIPE, stderr=messages, text=True
            )
            assert child.stdout is not None
            printed = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            self.seconds.append(time.perf_counter() - start)
            child.stdout.close()
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                messages.seek(0)
                raise SystemExit(f"{self.name} failed:\n{messages.read()}")
        self.peak_mib = max(self.peak_mib, usage.ru_maxrss / 1024)
        return printed
