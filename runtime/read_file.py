"""Reads a file that a person names, all of it: a list, a table, results.

It may be a pipe, such as a shell's <(...), and so may have no end, such as /dev/zero.
"""

from __future__ import annotations

import errno
from pathlib import Path

__all__ = ["read_file"]

_MAX_MIB = 128
"""A table of the 1.28 million training images of ImageNet takes 60."""


def read_file(path: Path) -> bytes:
    """Return the bytes of a file, or what comes out of a pipe.

    Raises:
        OSError: if it cannot be read, or does not end where lists do; its `strerror` says why.
    """
    with path.open("rb") as file:
        data = file.read((_MAX_MIB << 20) + 1)
    if len(data) > _MAX_MIB << 20:
        raise OSError(errno.EFBIG, f"it holds more than {_MAX_MIB} MiB", str(path))
    return data
