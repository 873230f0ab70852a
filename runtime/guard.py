"""Ends a program: every failure that a person can mend is one line and an exit status.

exit status  0    done
1    everything ran, and the answer is no (VerdictError)
2    it could not be done (any other DeployError, a full disk, no memory, a broken package)
130  interrupted from the keyboard
141  whoever read the output left; nothing is said, as Unix programs do
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

from runtime.errors import DeployError
from runtime.terminal import ERASE, say

__all__ = ["INTERRUPTED", "guard", "instant_interrupt"]

INTERRUPTED = 130
READER_LEFT = 141


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
    except (DeployError, ImportError) as error:
        status = _fail_or_be_interrupted(error)
    except BrokenPipeError:
        status = READER_LEFT
    except MemoryError:
        status = _fail("out of memory; end other programs, or give it less at once", 2)
    except OSError as error:
        status = _fail(_describe(error), 2)
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
        os.write(2, f"{ERASE if os.isatty(2) else ''}error: interrupted\n".encode())
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _fail_or_be_interrupted(error: DeployError | ImportError) -> int:
    if _was_interrupted(error):
        return _fail("interrupted", INTERRUPTED)
    # Of a package that is there, and broken or of another system.
    if isinstance(error, ImportError):
        return _fail(f"cannot import a package: {error}; install it again", 2)
    return _fail(str(error), error.exit_status)


def _was_interrupted(error: BaseException) -> bool:
    """Return whether Ctrl-C is at the bottom of it.

    Native modules that are interrupted while they are imported report an ImportError.
    """
    cause = error.__cause__ or error.__context__
    return cause is not None and (isinstance(cause, KeyboardInterrupt) or _was_interrupted(cause))


def _describe(error: OSError) -> str:
    if error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, FileNotFoundError):  # from getcwd, which names nothing
        return "the current folder was deleted; change to one that is there"
    return error.strerror or str(error)


def _fail(message: str, status: int) -> int:
    with contextlib.suppress(OSError):
        say(f"error: {message}")
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
