"""Bundle: the deployment folder as it lies on a disk that others can write to.

Nothing in it is used before it was compared with the manifest, and what was compared is what is
used: a file is read once, and the bytes that were hashed are the bytes that are handed on.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runtime.errors import BundleError, OptionError
from runtime.manifest import MANIFEST_FILE, FileInfo, Manifest
from runtime.snapshot import Snapshot
from runtime.variant import Variant

if TYPE_CHECKING:
    from concurrent.futures import Executor

__all__ = ["TUNING_FILE", "Bundle"]

TUNING_FILE = "tuning.json"
"""Tells how the bundle runs best on a machine; see runtime.benchmark.tuning. Few have one."""

_LARGEST_MANIFEST = 16 << 20
"""Bytes; the labels of 20,000 classes take 1 MiB."""
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle's folder and its manifest, which is sound; its files are checked when read."""

    folder: Path
    manifest: Manifest

    @staticmethod
    def load(folder: Path) -> Bundle:
        """Return the bundle in the folder, of which only the manifest was read.

        Raises:
            BundleError: if there is none, or its manifest is unreadable, hostile or of another
                schema version.
        """
        if not folder.is_dir():
            raise BundleError(_no_folder(folder))
        if not os.path.lexists(folder / MANIFEST_FILE):
            raise BundleError(_no_manifest(folder))
        with _open_inside(folder, MANIFEST_FILE) as file:
            data = file.read(_LARGEST_MANIFEST + 1)
        if len(data) > _LARGEST_MANIFEST:
            raise BundleError(f"'{folder / MANIFEST_FILE}' exceeds 16 MiB: it is not a manifest")
        try:
            return Bundle(folder=folder, manifest=Manifest.from_json(data))
        except BundleError as error:
            raise BundleError(f"'{folder}': {error}") from None

    def variant(self, name: str) -> Variant:
        """Return the variant of that name.

        Raises:
            OptionError: if the bundle has none.
        """
        try:
            return self.manifest.variants[name]
        except KeyError:
            known = ", ".join(self.manifest.variants)
            raise OptionError(f"'{self.folder}' has no variant '{name}'; it has: {known}") from None

    def read(self, path: str) -> bytes:
        """Return the bytes of a listed file, which are the very ones that were published.

        Raises:
            BundleError: if the file is missing, was altered or leads outside the folder.
        """
        with self._open(path) as file:
            data = file.read()
        self._compare(path, FileInfo.of(data))
        return data

    def start_snapshot(self, path: str, pool: Executor) -> Callable[[], Snapshot]:
        """Copy a listed file now, and hash the copy in the pool.

        For large files: a library can load the copy without another one. The hash is one native
        call; anything more would wait for the interpreter as long as others import modules.

        Returns:
            What waits for the hash and returns the copy, which is the caller's to close.

        Raises:
            BundleError: if the file is missing or leads outside the folder, or, sooner or later,
                if it was altered.
        """
        with self._open(path) as file:
            copy = Snapshot(file, self.manifest.files[path].size)
        hashing = pool.submit(FileInfo.of, copy.view())

        def finish() -> Snapshot:
            self._compare(path, hashing.result())
            return copy

        return finish

    def check(self, path: str) -> None:
        """Return if a listed file is the very one that was published.

        Raises:
            BundleError: if it is missing, was altered or leads outside the folder.
        """
        self._compare(path, self.inspect(path))

    def inspect(self, path: str) -> FileInfo:
        """Return what a file of the folder really is, read in constant memory.

        A file whose size is not the listed one is not read, as it may have no end; what is returned
        then has no hash.

        Raises:
            BundleError: if the file is missing, is no regular file or leads outside the folder.
        """
        digest = hashlib.sha256()
        size = 0
        with _open_inside(self.folder, path) as file:
            given = os.fstat(file.fileno()).st_size
            if path in self.manifest.files and given != self.manifest.files[path].size:
                return FileInfo(sha256="", size=given)
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
        return FileInfo(sha256=digest.hexdigest(), size=size)

    def unlisted(self) -> list[str]:
        """Return the paths of the files in the folder that the manifest does not know of."""
        known = {*self.manifest.files, MANIFEST_FILE}
        found = []
        for folder, folders, names in os.walk(self.folder):
            relative = Path(folder).relative_to(self.folder)
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            found += [(relative / name).as_posix() for name in (*names, *links)]
        return sorted(set(found) - known)

    def _open(self, path: str) -> BinaryIO:
        file = _open_inside(self.folder, path)
        if os.fstat(file.fileno()).st_size == self.manifest.files[path].size:
            return file
        file.close()
        raise self._altered(path, self.inspect(path))

    def _compare(self, path: str, given: FileInfo) -> None:
        if given != self.manifest.files[path]:
            raise self._altered(path, given)

    def _altered(self, path: str, given: FileInfo) -> BundleError:
        return BundleError(
            f"'{self.folder / path}' was altered: given {given}; expected "
            f"{self.manifest.files[path]}; copy or export the bundle again"
        )


def _open_inside(folder: Path, path: str) -> BinaryIO:
    root = os.path.realpath(folder)
    real = os.path.realpath(folder / path)
    if os.path.commonpath([root, real]) != root:
        raise BundleError(f"'{folder / path}' leads outside the bundle; do not use this bundle")
    try:
        # A pipe would keep whoever opens it waiting, and a device has no end.
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise BundleError(f"'{folder / path}' is not a regular file; do not use this bundle")
        return open(real, "rb")
    except FileNotFoundError:
        raise BundleError(
            f"'{folder}' lacks '{path}'; copy the whole folder, or export it again"
        ) from None
    except OSError as error:
        raise BundleError(f"cannot read '{folder / path}': {error.strerror}") from None


def _no_folder(folder: Path) -> str:
    if folder.is_file():
        return f"'{folder}' is a file; expected the bundle's folder, perhaps '{folder.parent}'"
    return f"there is no bundle '{folder}'; make one with: python -m export NAME --onnx"


def _no_manifest(folder: Path) -> str:
    message = f"'{folder}' is not a bundle: it has no {MANIFEST_FILE}"
    inner = sorted(str(path.parent) for path in folder.glob(f"*/{MANIFEST_FILE}"))
    return f"{message}; did you mean {' or '.join(inner[:3])}?" if inner else message
