"""A worker process, seen from the one that started it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime import errors
from runtime.benchmark.timing import Pace
from runtime.errors import BackendError

__all__ = ["Child", "Opened", "Window"]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a worker said when its model was open."""

    runner: str
    load_ms: float
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a worker said after it ran."""

    ms: tuple[float, ...]
    """Of each run; empty after warming up."""
    peak_mib: float
    """Resident, of the process so far."""


class Child:
    """A worker that was started; close it, or use it as a context manager.

    Raises:
        DeployError: whatever kept it from opening its model.
        BackendError: if it ends before its time.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
        # A file: a pipe that nobody reads would stop a child that says much.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            said = self._hear()["opened"]
        except BaseException:
            self.close()
            raise
        self.opened = Opened(
            runner=said["runner"], load_ms=said["load_ms"], notes=tuple(said["notes"])
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def warm_up(self, shape: Sequence[int], dtype: str, pace: Pace) -> Window:
        """Run on images of the shape until it is warm."""
        return self._ask(shape, dtype, pace, warm=True)

    def window(self, shape: Sequence[int], dtype: str, pace: Pace) -> Window:
        """Run on images of the shape for a window's time."""
        return self._ask(shape, dtype, pace, warm=False)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(BrokenPipeError):
                assert pipe is not None
                pipe.close()
        self._process.wait()

    def _ask(self, shape: Sequence[int], dtype: str, pace: Pace, *, warm: bool) -> Window:
        order = {"shape": shape, "dtype": dtype, "warm": warm, "pace": dataclasses.asdict(pace)}
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it said before it ended is told below
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        said = self._hear()
        return Window(ms=tuple(said["ms"]), peak_mib=said["peak_mib"])

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BackendError(f"{self._name}: its process ended ({self._last_words()})")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            kind: type[errors.DeployError] = getattr(errors, said["kind"])
            raise kind(f"{self._name}: {said['error']}")
        return said

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"status {status}: {lines[-1] if lines else 'it said nothing'}"
