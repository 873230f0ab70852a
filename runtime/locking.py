"""Writes files whole or not at all, and one writer at a time."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["locked", "replace", "replacing"]


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
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Make a file that takes the place of any that was there, once it is whole and on the disk.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
