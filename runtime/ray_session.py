"""A session of Ray: begun on this machine or joined on a cluster, and ended with the block."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

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

    For a `RayDriver`: Ray may end the process that this is called in. What a person sets in Ray's
    own environment variables is respected.

    Args:
        address: of a running cluster: "auto" or "host:port"; empty for a session of its own on the
            cores of this machine, which takes some seconds to begin.

    Raises:
        BackendMissingError: if Ray is not installed.
        BackendError: if the session cannot begin, or Ray fails in the block.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    _check_installed()
    import ray
    from ray.exceptions import RayError

    try:
        _begin(address)
        yield
    except RayError as error:
        reason = _last_line(str(error)) or type(error).__name__
        raise BackendError(
            f"Ray failed ({reason}); its logs are in /tmp/ray/session_latest/logs"
        ) from None
    finally:
        ray.shutdown()


def _check_installed() -> None:
    try:
        import ray  # noqa: F401 (only whether it can be)
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


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
