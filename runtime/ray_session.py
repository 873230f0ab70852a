"""A session of Ray: begun on this machine or joined on a cluster, silent, and ended with the block.

Ray writes to standard error from Python and from C++, in this process and in the ones it starts.
None of that is for who called: it goes to a file, whose last line is told if Ray fails.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from runtime.errors import BackendError, BackendMissingError

__all__ = ["ray_session"]

OBJECT_STORE_BYTES = 256 << 20
"""Of a session on this machine: what passes through it are partitions and requests, a few at once.
Ray alone would take 30 % of the memory."""
_PATIENCE_SECONDS = 10
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anyone
    "RAY_worker_niceness": "0",  # 15 otherwise: anything else on the machine would halve the pace
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray warns of what it will do with GPUs one day
}


@contextlib.contextmanager
def ray_session(address: str = "") -> Iterator[None]:
    """Begin or join a session of Ray for as long as the block runs.

    What a person sets in Ray's own environment variables is respected.

    Args:
        address: of a running cluster: "auto" or "host:port"; empty for a session of its own on the
            cores of this machine, which takes some seconds to begin.

    Raises:
        BackendMissingError: if Ray is not installed.
        BackendError: if the session cannot begin, or Ray fails in the block.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with tempfile.TemporaryFile() as log, _hidden_stderr(log):
        _check_installed()
        import ray
        from ray.exceptions import RayError

        try:
            _begin(address)
            yield
        except RayError as error:
            reason = _last_line(str(error)) or _last_line(_read(log)) or type(error).__name__
            raise BackendError(
                f"Ray failed ({reason}); its logs are in /tmp/ray/session_latest/logs"
            ) from None
        finally:
            ray.shutdown()


def _check_installed() -> None:
    try:
        import ray  # noqa: F401 (imported here so that what it prints is hidden)
    except ImportError as error:
        raise BackendMissingError(
            f"this needs the package 'ray' ({error}). Run: pip install 'resnet-deploy[scale]'"
        ) from None


def _begin(address: str) -> None:
    import ray

    try:
        if address:
            _check_answered(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        else:
            ray.init(
                address="local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
            )
    # Ray raises ConnectionError, RuntimeError, ValueError, OSError and asserts.
    except Exception as error:
        # Why it cannot, be it a token that is missing, is often in the cause only.
        reason = _last_line(str(error.__cause__ or error)) or type(error).__name__
        where = f"join the cluster at '{address}'" if address else "begin on this machine"
        cure = (
            "is it running, with the same versions of Ray and Python?"
            if address
            else "see /tmp/ray for logs"
        )
        raise BackendError(f"Ray cannot {where} ({reason}); {cure}") from None


def _check_answered(address: str) -> None:
    """Raise OSError if nobody listens at host:port, where Ray itself would wait for ever."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), _PATIENCE_SECONDS).close()
    elif address != "auto":
        raise ValueError("expected 'auto' or host:port")


@contextlib.contextmanager
def _hidden_stderr(log: BinaryIO) -> Iterator[None]:
    """Send what is written to the descriptor of stderr to the log, but not what `sys.stderr` is."""
    shown = sys.stderr
    shown.flush()
    terminal = os.dup(2)
    os.dup2(log.fileno(), 2)
    try:
        with io.TextIOWrapper(
            os.fdopen(terminal, "wb", closefd=False), errors="backslashreplace", line_buffering=True
        ) as stream:
            sys.stderr = stream if _is_descriptor(shown) else shown
            yield
    finally:
        sys.stderr = shown
        os.dup2(terminal, 2)
        os.close(terminal)


def _is_descriptor(stream: object) -> bool:
    """Return whether writing to the stream is writing to the descriptor of stderr."""
    with contextlib.suppress(OSError, AttributeError):
        return stream.fileno() == 2  # type: ignore[attr-defined,no-any-return]
    return False


def _read(log: BinaryIO) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
