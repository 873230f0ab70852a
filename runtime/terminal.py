"""Where a command line meets a person.

Results go to stdout; progress, warnings and errors go to stderr, so that results can be piped.
`--json` makes stdout one JSON document, `--quiet` leaves out progress; errors are always shown.

    exit status  0    done
                 1    everything ran, and the answer is no (VerdictError)
                 2    it could not be done (any other DeployError, a full disk, no memory)
                 130  interrupted from the keyboard
                 141  whoever read the output left; nothing is said, as Unix programs do

No colours, and no control codes unless stderr is a terminal: there, one line at the bottom says
what is under way, and is erased before anything else is written. Rich could draw it too, but takes
as long to import as a photograph to classify.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from runtime.errors import DeployError, OptionError

if TYPE_CHECKING:
    import typer

__all__ = ["Screen", "Step", "guard", "instant_interrupt", "printable", "run"]

INTERRUPTED = 130
READER_LEFT = 141

_PATIENCE_SECONDS = 2.0
"""Work shorter than this needs no progress bar."""
_REDRAW_SECONDS = 0.1
_BAR_WIDTH = 24
_ERASE = "\r\x1b[K"


def run(app: typer.Typer, program: str, argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status.

    Args:
        app: made with rich_markup_mode=None and pretty_exceptions_enable=False; its commands
            return None or an exit status.
        program: how it was called, for usage lines: "python -m runtime".
        argv: the arguments; by default those of the process.
    """
    return guard(lambda: _call(app, program, sys.argv[1:] if argv is None else argv))


def guard(work: Callable[[], int]) -> int:
    """Return the exit status of the work, every failure a person can mend told in one line."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        _escape_unprintable(stream)
    try:
        status = work()
        sys.stdout.flush()
    except KeyboardInterrupt:
        status = _fail("interrupted", INTERRUPTED)
    except DeployError as error:
        if _was_interrupted(error):
            status = _fail("interrupted", INTERRUPTED)
        else:
            status = _fail(str(error), error.exit_status)
    except BrokenPipeError:
        status = READER_LEFT
    except MemoryError:
        status = _fail("out of memory; end other programs, or give it less at once", 2)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        status = _fail(f"{error.strerror or error}{where}", 2)
    _settle(sys.stdout)
    return status


@contextlib.contextmanager
def instant_interrupt() -> Iterator[None]:
    """Let Ctrl-C end the process there and then, where nothing has to be put in order first.

    The exception it raises otherwise is not always heard: inside an import it can be swallowed, and
    where a lock is being taken it can leave the lock held, for other threads to wait for.
    """

    def leave(*_: object) -> None:
        # Not through sys.stderr, which may be in the middle of a line.
        os.write(2, f"{_ERASE if os.isatty(2) else ''}error: interrupted\n".encode())
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
            _say(text)

    def warn(self, text: str) -> None:
        """Write a line that is shown however quiet it is meant to be."""
        _say(f"warning: {text}")

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
                shown = f"{pace:.0f}" if pace >= 100 else f"{pace:.3g}"
                left = f"{shown}/s, {_duration((total - done) / pace)} left"
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
            sys.stderr.write(_ERASE + text[: columns - 1])
            sys.stderr.flush()


def _call(app: typer.Typer, program: str, argv: Sequence[str]) -> int:
    import typer

    try:
        status = app(list(argv), prog_name=program, standalone_mode=False)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else program
        message = " ".join(error.format_message().split())
        stop = "" if message.endswith((".", "?")) else "."
        raise OptionError(f"{message}{stop} See: {command} --help") from None
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as exit_:
        if isinstance(exit_.__context__, BrokenPipeError):  # what Typer makes of it
            raise exit_.__context__ from None
        raise
    if status == INTERRUPTED:  # Typer turns the exception into the status
        raise KeyboardInterrupt
    return status if isinstance(status, int) else 0


def _print(text: str) -> None:
    if _is_terminal(sys.stderr):
        sys.stderr.write(_ERASE)
        sys.stderr.flush()
    sys.stdout.write(text + "\n")


def _was_interrupted(error: BaseException) -> bool:
    """Return whether Ctrl-C is at the bottom of it.

    Native modules that are interrupted while they are imported report an ImportError.
    """
    cause = error.__cause__ or error.__context__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


def _say(text: str) -> None:
    erase = _ERASE if _is_terminal(sys.stderr) else ""
    sys.stderr.write(f"{erase}{printable(text)}\n")


def _duration(seconds: float) -> str:
    """Return a time as a person says it: "48 s", "3:07 min", "2:05 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    small, unit = (60, "min") if seconds < 3600 else (3600, "h")
    return f"{int(seconds // small)}:{int(seconds % small * 60 // small):02} {unit}"


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):
        _say(f"error: {message}")
    return status


def _open_closed_streams() -> None:
    # A process started with a stream closed has None for it, and the next file it opens gets the
    # stream's number, and with it whatever a native library prints.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 (closed with the process)


def _escape_unprintable(stream: TextIO) -> None:
    # A name the terminal's encoding lacks must not end the program that prints it.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _settle(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        # The interpreter flushes once more at exit and would complain of what is known already.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
