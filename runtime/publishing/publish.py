"""Publishes a bundle: all of it appears at once, or nothing changes.

    write every file, then the manifest, into a staging folder beside the destination
    flush them to the disk
    swap the staged folder and the destination in one step
    remove what was there before

Killed at any moment, the destination is the whole old bundle or the whole new one. Of two that
publish at once, the later one wins whole. Where a system cannot exchange folders in one step, a
kill between two renames leaves no destination, but never a mixed one; see runtime.publishing.swap.

Only a bundle is ever replaced: a folder that holds anything else is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.manifest import MANIFEST_FILE, FileInfo, Manifest, check_path
from runtime.publishing.staging import staging
from runtime.publishing.swap import swap

__all__ = ["check_writable", "publish"]

_PIECE = 1 << 20


def publish(
    destination: Path,
    files: Mapping[str, bytes | Path],
    describe: Callable[[dict[str, FileInfo]], Manifest],
) -> Bundle:
    """Publish a bundle and return it; a bundle that is there is replaced.

    Args:
        destination: the bundle's folder; the folders above it are made if need be.
        files: what the bundle holds but for the manifest, by path with forward slashes: the bytes,
            or a file to copy.
        describe: makes the manifest, given the hash and size of each file.

    Raises:
        BundleError: if the destination must not be replaced or cannot be written.
    """
    for path in files:
        check_path(path)
    with _stage(destination) as (staged, target):
        manifest = describe({path: _write(staged / path, files[path]) for path in files})
        _write(staged / MANIFEST_FILE, manifest.to_json())
        for folder, _, _ in os.walk(staged):
            _flush(folder)
        swap(staged, target)
        _flush(target.parent)
    return Bundle(folder=destination, manifest=manifest)


def check_writable(destination: Path) -> None:
    """Return if a bundle could be published there now: for asking before long work.

    Raises:
        BundleError: if the destination must not be replaced or cannot be written.
    """
    with _stage(destination):
        pass


@contextlib.contextmanager
def _stage(destination: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder to fill and the folder to swap it with."""
    target = Path(os.path.realpath(destination))
    try:
        with staging(target.parent) as folder:
            _check_replaceable(destination)
            yield folder / "bundle", target
    except OSError as error:
        reason = error.strerror or str(error)
        raise BundleError(
            f"cannot publish to '{destination}': {reason}; mend that, or choose another folder"
        ) from None


def _check_replaceable(destination: Path) -> None:
    try:
        if not os.listdir(destination):
            return
    except FileNotFoundError:
        return
    cure = "choose another --output, or remove it yourself"
    try:
        unlisted = Bundle.load(destination).unlisted()
    except BundleError as error:
        raise BundleError(f"will not replace '{destination}': {error}; {cure}") from None
    if unlisted:
        raise BundleError(
            f"will not replace '{destination}': its file '{unlisted[0]}' is not part of the "
            f"bundle; {cure}"
        )


def _write(path: Path, content: bytes | Path) -> FileInfo:
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for piece in _pieces(content):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        return FileInfo(sha256=digest.hexdigest(), size=file.tell())


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    try:
        file = content.open("rb")
    except OSError as error:
        raise BundleError(f"cannot read '{content}' to publish it: {error.strerror}") from None
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _flush(folder: str | Path) -> None:
    if os.name != "posix":  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
