"""Staging folders: where a bundle is put together before anyone can see it.

    parent/.bundle-1f0c9a7e5b3d2846.part/lock       held with flock while its writer lives
    parent/.bundle-1f0c9a7e5b3d2846.part/bundle/    becomes the published folder by one rename

A process that is killed leaves its staging folder behind and loses its lock; the next writer beside
it sweeps what nobody holds. Where there is no flock (Windows, some network disks) nothing is swept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["staging"]

_PATTERN = ".bundle-{}.part"
_ATTEMPTS = 20
"""More than any realistic number of writers that sweep each other's newborn folders."""
_NO_FLOCK = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """Make a folder on the file system of `parent`, and remove it and all it holds after use.

    Folders above it that do not exist are made, and removed again if nothing was put into them.

    Yields:
        A folder nobody else uses, in which an empty folder `bundle` exists.

    Raises:
        OSError: if it cannot be made.
    """
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    try:
        folder, lock = _make(parent)
        try:
            _sweep(parent, folder)
            (folder / "bundle").mkdir()
            yield folder
        finally:
            os.close(lock)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # not empty: something was published into it
            for ancestor in made:
                ancestor.rmdir()


def _make(parent: Path) -> tuple[Path, int]:
    for attempts_left in reversed(range(_ATTEMPTS)):
        folder = parent / _PATTERN.format(secrets.token_hex(8))
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            lock = _lock(folder)
        except FileNotFoundError:
            # Gone again: a writer beside this one removed the parent that it had made itself, or
            # swept the folder before it was locked.
            if not attempts_left:
                raise
            continue
        if lock is not None:
            return folder, lock
    raise BlockingIOError(errno.EAGAIN, "too many others publish there now", str(parent))


def _sweep(parent: Path, own: Path) -> None:
    probe = _lock(own)
    if probe is not None:  # locks hold nobody back here, so the living cannot be told from the dead
        os.close(probe)
        return
    for folder in parent.glob(_PATTERN.format("[0-9a-f]" * 16)):
        with contextlib.suppress(OSError):  # somebody else's to remove
            lock = None if folder.is_symlink() else _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return the descriptor that holds the folder's lock; None if another writer holds it."""
    path = folder / "lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        if error.errno in _NO_FLOCK:
            return lock
        raise
    os.close(lock)
    return None
