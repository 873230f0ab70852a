"""Puts a folder in the place of another: in one step where the system can, else in two renames."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import sys
from pathlib import Path

__all__ = ["exchange", "replace_in_two_renames", "swap"]

_AT_FDCWD = -100  # <fcntl.h>
_RENAME_EXCHANGE = 2  # <linux/fs.h>
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)
_CANNOT_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""No such call; a file system that does not know the flag."""


def swap(staged: Path, target: Path) -> None:
    """Move the staged folder to the target; a folder that is there comes to lie beside the staged.

    Args:
        staged: a folder on the target's file system, whose parent is removed afterwards.
        target: nothing, or a folder.

    Raises:
        OSError: if it cannot be done; the target is then what it was.
    """
    while True:
        try:
            os.rename(staged, target)  # enough where nothing is, or an empty folder
        except OSError as error:
            if error.errno not in _OCCUPIED:
                raise
        else:
            return
        # FileNotFoundError: another writer has just moved the target away; it is free now.
        with contextlib.suppress(FileNotFoundError):
            try:
                exchange(staged, target)
            except OSError as error:
                if error.errno not in _CANNOT_EXCHANGE:
                    raise
                replace_in_two_renames(staged, target)
            return


def exchange(one: Path, other: Path) -> None:
    """Exchange two folders in one step that no kill can divide.

    Raises:
        OSError: if it cannot be done; ENOSYS where the system has no such call.
    """
    renameat2 = None
    if sys.platform == "linux":
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(one))
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if renameat2(*paths, _RENAME_EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))


def replace_in_two_renames(staged: Path, target: Path) -> None:
    """Move the target beside the staged folder, then the staged folder to the target.

    Killed between the two, there is no target.

    Raises:
        OSError: if it cannot be done; the target is then what it was, or another writer's.
    """
    aside = staged.with_name(f"replaced-{secrets.token_hex(8)}")
    os.rename(target, aside)
    try:
        os.rename(staged, target)
    except OSError:
        with contextlib.suppress(OSError):
            os.rename(aside, target)
        raise
