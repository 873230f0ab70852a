"""SavePoint: where the state of a training is kept, so that it can go on after a kill.

The file has the size of the weights and of what the optimizer keeps of each: with momentum twice
the weights, with Adam three times. It is written at the end of every epoch and once a minute in
between, whole or not at all: a kill costs a minute of work at most.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from export.training.state import State
from runtime.errors import CheckpointError, OptionError
from runtime.locking import replacing

__all__ = ["SavePoint"]


@dataclass(kw_only=True, eq=False)
class SavePoint:
    """A file, and when it was last written."""

    path: Path
    key: Mapping[str, str]
    """All that the training depends on, by the name of the option."""
    surroundings: Mapping[str, str]
    """What should stay the same for the same bits, but may change."""
    seconds: float = 60.0
    """Between two times."""
    saves: int = 0
    """How often it was written by this process."""
    spent_seconds: float = 0.0
    """What that took."""
    clock: Callable[[], float] = time.monotonic
    """In seconds."""
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def take_up(self, state: State) -> dict[str, str] | None:
        """Let the state become what was saved; return its surroundings, None if nothing was.

        Raises:
            OptionError: if what was saved is of another training.
            CheckpointError: if it cannot be read.
        """
        if not self.path.exists():
            return None
        document = self._read()
        key = document["key"]
        other = [name for name in {**self.key, **key} if key.get(name) != self.key.get(name)]
        if other:
            now, then = (told.get(other[0], "not given") for told in (self.key, key))
            raise OptionError(
                f"'{self.path}' is of another training: {other[0]} is {now} now, was {then}; "
                f"{self._cure}"
            )
        with self._damage():
            state.restore(document)
            return dict(document["surroundings"])

    def _read(self) -> dict[str, Any]:
        with self._damage():
            document = torch.load(self.path, map_location="cpu", weights_only=True)
            document["key"] = dict(document["key"])
            return dict(document)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # a damaged file can raise anything
            reason = " ".join(str(error).split())[:80] or type(error).__name__
            raise CheckpointError(f"'{self.path}' is damaged ({reason}); {self._cure}") from None

    @property
    def _cure(self) -> str:
        return f"remove '{self.path}' to begin anew, or choose another --output"

    def save(self, state: State) -> None:
        """Write the state.

        Raises:
            CheckpointError: if it cannot be written.
        """
        start = self.clock()
        told = {"key": dict(self.key), "surroundings": dict(self.surroundings)}
        document = told | state.to_document()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as file:
                torch.save(document, file)
        except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into the latter
            reason = getattr(error, "strerror", None) or "is the disk full?"
            raise CheckpointError(f"cannot save the training to '{self.path}': {reason}") from None
        self._last = self.clock()
        self.saves += 1
        self.spent_seconds += self._last - start

    def save_if_due(self, state: State) -> None:
        """Write the state if the last time is long ago."""
        if self.clock() - self._last >= self.seconds:
            self.save(state)

    def discard(self) -> None:
        """Remove the file: there is nothing in it to go on with."""
        self.path.unlink(missing_ok=True)
