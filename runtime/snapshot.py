"""Snapshot: the bytes of a file, copied to where nobody else can change them.

What is hashed is then what is loaded, whatever becomes of the file. On Linux the copy is a file in
memory without a name: the kernel makes it while the interpreter does something else, and a library
that loads by path takes it without another copy. Elsewhere it is a bytes object.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from pathlib import Path
from typing import BinaryIO

__all__ = ["Snapshot"]


class Snapshot:
    """A private copy of a file; close it when nothing will load it any more."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._size = size
        self._descriptor = _copy_in_kernel(file, size)
        self._bytes = file.read(size) if self._descriptor is None else b""

    @property
    def source(self) -> Path | bytes:
        """What to load: a path as long as the snapshot is open, or the bytes."""
        if self._descriptor is None:
            return self._bytes
        return Path(f"/proc/self/fd/{self._descriptor}")

    def view(self) -> memoryview:
        """Return the bytes, not copied; they outlive the snapshot."""
        if self._descriptor is None:
            return memoryview(self._bytes)
        return memoryview(mmap.mmap(self._descriptor, self._size, prot=mmap.PROT_READ))

    def close(self) -> None:
        """Give the memory back, as soon as no view needs it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._bytes = None, b""

    __del__ = close


def _copy_in_kernel(file: BinaryIO, size: int) -> int | None:
    """Return the descriptor of the copy; None where it cannot be made."""
    if sys.platform != "linux" or not size or not os.path.exists("/proc/self/fd"):
        return None
    with contextlib.suppress(OSError):
        copy = os.memfd_create("snapshot")
        with contextlib.suppress(OSError):  # a file system that cannot; no memory
            done = 0
            while sent := os.sendfile(copy, file.fileno(), done, size - done):
                done += sent
            if done == size:
                return copy
        os.close(copy)
    return None
