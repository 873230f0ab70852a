"""Writes files that several processes share: whole, and one writer at a time."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["locked", "replace"]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold other processes back that lock the same folder, as long as the block runs.

    It is the folder itself that is locked: nothing is left behind. Where that cannot be done
    (Windows, some network disks) nobody is held back, and the last writer wins.
    """
    handle = None
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def replace(path: Path, data: bytes) -> None:
    """Write the file whole or not at all, in the place of any that was there.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
