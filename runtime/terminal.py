"""Where a command line meets a person.

Results go to stdout; progress, warnings and errors go to stderr, so that results can be piped.
`--json` makes stdout one JSON document, `--quiet` leaves out progress; errors are always shown.

No colours, and no control codes unless stderr is a terminal: there, one line at the bottom says
what is under way, and is erased before anything else is written. Rich could draw it too, but takes
as long to import as a photograph to classify.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = ["ERASE", "Screen", "Step", "printable", "say", "three_digits"]

_PATIENCE_SECONDS = 2.0
"""Work shorter than this needs no progress bar."""
_REDRAW_SECONDS = 0.1
_BAR_WIDTH = 24
ERASE = "\r\x1b[K"
"""Clears the bottom line of a terminal."""


def printable(text: str) -> str:
    r"""Return the text on one line, control codes and lone surrogates as escapes such as \x1b.

    Names of files and labels come from others, and a terminal obeys what it is sent.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass
class Step:
    """A step under way; what it found out goes into `detail` before it ends."""

    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Screen:
    """How much a command says, and in what form."""

    json: bool = False
    quiet: bool = False

    def result(self, text: str) -> None:
        """Write lines of the result; nothing when the result is a JSON document."""
        if not self.json:
            _print(text)

    def document(self, value: Mapping[str, Any]) -> None:
        """Write the result as a JSON document; nothing when it is told in words."""
        if self.json:
            # What another encoding lacks would be escaped as \xfc, which is no JSON.
            ascii_only = str(sys.stdout.encoding).lower() not in ("utf-8", "utf8", "none")
            # Refused, not written: NaN is no JSON, and whoever reads it would fail far from here.
            _print(json.dumps(value, indent=2, ensure_ascii=ascii_only, allow_nan=False))

    def note(self, text: str) -> None:
        """Write a line of progress."""
        if not self.quiet:
            say(text)

    def warn(self, text: str) -> None:
        """Write a line that is shown however quiet it is meant to be."""
        say(f"warning: {text}")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Write one line when the work inside is done: its name, its time, its detail."""
        step = Step()
        start = time.perf_counter()
        self._status(f"{name} ...")
        try:
            yield step
        finally:
            self._status("")
        seconds = time.perf_counter() - start
        self.note(f"{name:<12}{seconds:7.2f} s  {step.detail}".rstrip())

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar, the pace and the time left on a terminal when the work inside takes long.

        Yields:
            What to call after each of the `total` pieces.
        """
        done = 0
        start = time.perf_counter()
        due = start + _PATIENCE_SECONDS

        def advance() -> None:
            nonlocal done, due
            done += 1
            now = time.perf_counter()
            if now >= due:
                due = now + _REDRAW_SECONDS
                bar = "#" * (_BAR_WIDTH * done // total)
                pace = done / (now - start)
                left = f"{three_digits(pace)}/s, {_duration((total - done) / pace)} left"
                self._status(f"{what} [{bar:.<{_BAR_WIDTH}}] {done}/{total}, {left}")

        try:
            yield advance
        finally:
            self._status("")

    def _status(self, text: str) -> None:
        """Show the text as the bottom line of the terminal; the next thing written erases it."""
        if not self.quiet and _is_terminal(sys.stderr):
            # Of a line that wraps, only the last row would be erased.
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            sys.stderr.write(ERASE + text[: columns - 1])
            sys.stderr.flush()


def _print(text: str) -> None:
    if _is_terminal(sys.stderr):
        sys.stderr.write(ERASE)
        sys.stderr.flush()
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """Write a line to stderr, above what is under way."""
    erase = ERASE if _is_terminal(sys.stderr) else ""
    sys.stderr.write(f"{erase}{printable(text)}\n")


def three_digits(value: float) -> str:
    """Return a number in the digits that count: "0.123", "12.3", "1234"."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    """Return a time as a person says it: "48 s", "3:07 min", "2:05 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    small, unit = (60, "min") if seconds < 3600 else (3600, "h")
    return f"{int(seconds // small)}:{int(seconds % small * 60 // small):02} {unit}"


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"
