"""A driver of Ray: a process that works in a session of Ray, and answers the one that started it.

Ray's C++ core ends the process that it is in, with status 1 and not a word, when Ray's own
processes are gone or when a thread asks for something after the shutdown. It takes SIGTERM, and
writes to both streams. So nobody is a driver himself: where one ends before its time, that is an
error like any other.

    stdin   the work, pickled; then a line for each answer that is wanted; its end is the driver's
    stdout  the answers, pickled: each a value, or the error that ended the work
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from queue import Empty, SimpleQueue
from typing import BinaryIO, Generic, TypeVar

from runtime.errors import BackendError, DeployError

__all__ = ["RayDriver"]

_PATIENCE_SECONDS = 60
"""What Ray gets to end its own processes; requests are answered meanwhile."""

_LOOK_SECONDS = 2.0

T = TypeVar("T")


class RayDriver(Generic[T]):
    """Work in a process of its own, asked for one answer after another; close it after use.

    Args:
        work: begins a session of Ray and yields the answers; can be pickled.
    """

    def __init__(self, work: Callable[[], Generator[T]]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runtime.ray_driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C is for who started it
        )
        self._tell(pickle.dumps(work))

    def __enter__(self) -> RayDriver[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(self) -> T:
        """Return the next answer.

        Raises:
            DeployError: whatever ended the work.
            BackendError: if the process ended before its time.
        """
        self._tell(b"\n")
        assert self._process.stdout is not None
        try:
            answer = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._complaint() from None
        if isinstance(answer, DeployError):
            raise answer
        return answer  # type: ignore[no-any-return]

    def check(self) -> None:
        """Return if the process runs.

        Raises:
            BackendError: if it ended.
        """
        if self._process.poll() is not None:
            raise self._complaint()

    def close(self) -> None:
        """End the session and the process."""
        try:
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            # What was still starting would wait a minute for what is gone. Windows has no groups.
            with contextlib.suppress(ProcessLookupError, AttributeError):
                os.killpg(self._process.pid, signal.SIGKILL)
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _tell(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # why it ended is told when it is asked
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _complaint(self) -> BackendError:
        status = self._process.wait()
        return BackendError(
            f"the process that uses Ray ended (status {status}); was one of Ray's own killed, or "
            "memory short? Its logs are in /tmp/ray/session_latest/logs"
        )


def _answer(orders: BinaryIO, answers: BinaryIO) -> None:
    work: Callable[[], Generator[object]] = pickle.load(orders)
    wanted: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(orders, wanted), daemon=True).start()
    with contextlib.closing(work()) as found:
        while _wait_for(wanted):
            try:
                answer = next(found)
            except DeployError as error:
                answer = error
            except Exception as error:  # Ray raises whatever it likes
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                answer = BackendError(f"the work on Ray failed ({reason[:300]})")
            pickle.dump(answer, answers)
            answers.flush()


def _wait_for(wanted: SimpleQueue[bytes]) -> bytes:
    while _lost_process():
        pass  # the session began without it
    while True:
        with contextlib.suppress(Empty):
            return wanted.get(timeout=_LOOK_SECONDS)
        # Ray notices that its raylet was killed when it next asks it for something.
        if _lost_process():
            os._exit(1)


def _lost_process() -> bool:
    """Return whether a process that was started here ended, and has not been counted yet."""
    with contextlib.suppress(ChildProcessError):  # on a cluster: none was started here
        return os.waitpid(-1, os.WNOHANG)[0] > 0
    return False


def _listen(orders: BinaryIO, wanted: SimpleQueue[bytes]) -> None:
    for line in orders:
        wanted.put(line)
    wanted.put(b"")
    # Who started this has closed it, or was killed. In a session of Ray, SIGTERM is SystemExit. To
    # the main thread: it would not wake if the kernel gave the signal to one of Ray's.
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, signal.SIGTERM)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as own_stdout:
        os.dup2(2, 1)  # Ray prints there, too
        _answer(sys.stdin.buffer, own_stdout)
