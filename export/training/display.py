"""Display: shows how a training goes, a line an epoch and, on a terminal, a bar in between."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from runtime.terminal import Screen

if TYPE_CHECKING:
    from export.training.batches import TrainingBatches
    from export.training.state import State

__all__ = ["Display"]


class Display:
    """Writes to stderr while a training runs inside it; no bar where stderr is no terminal."""

    def __init__(self, screen: Screen, batches: TrainingBatches, step: int) -> None:
        self._screen = screen
        self._batches = batches
        self._first = step
        self._start = self._epoch_start = time.monotonic()
        bar = not screen.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not bar,
        )
        self._task: TaskID = self._progress.add_task(
            "", total=batches.steps, completed=step, detail=""
        )

    def __enter__(self) -> Display:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the bar."""
        self._progress.stop()

    def stepped(self, state: State) -> None:
        """Move the bar; it tells loss and accuracy of the epoch under way."""
        epoch, step = divmod(state.step - 1, self._batches.per_epoch)
        done = step + 1
        accuracy = 100 * state.right / (done * self._batches.batch)
        self._progress.update(
            self._task,
            completed=state.step,
            description=f"epoch {epoch + 1}/{self._batches.epochs}",
            detail=f"loss {state.loss / done:.4f}, {accuracy:.1f} %",
        )

    def ended(self, state: State) -> None:
        """Write a line about the epoch."""
        record, now = state.history[-1], time.monotonic()
        pace = (now - self._start) / (state.step - self._first)
        left = pace * (self._batches.steps - state.step)
        best = "  best" if state.best is record else ""
        self._screen.note(
            f"epoch {record.epoch:>{len(str(self._batches.epochs))}}/{self._batches.epochs}  "
            f"loss {record.loss:.4f}  train {record.accuracy:5.1f} %  "
            f"val {record.val_accuracy:5.1f} %  {now - self._epoch_start:4.0f} s  "
            f"{_minutes(left)} left{best}"
        )
        self._epoch_start = now


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
