"""The output folder: parquet files of finished partitions, and of which run they are.

    part-000000.parquet      a partition: whole, or not there
    _run/run.json            what was asked for; whoever resumes must ask for the same
    _run/paths.parquet       the paths that were found, where no table holds them

A partition is written beside its place and moved there, so a kill at any moment leaves whole ones.
Only the process that holds the folder's lock writes into it. Names that begin with an underscore
are passed over by what reads a folder of parquet files as one table.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import BundleError, OptionError
from runtime.image_spec import ImageSpec
from runtime.publishing.replace_file import refuse_within_bundle
from runtime.schema import from_json, to_json
from runtime.scoring.partition import Partition, TableFile
from runtime.scoring.partition_file import read_tally
from runtime.scoring.tally import Tally

if TYPE_CHECKING:
    from runtime.scoring.inputs import Inputs

__all__ = ["Run", "RunFolder", "open_run_folder"]

_STATE = "_run"
_RUN_FILE = "run.json"
_LISTING = "paths.parquet"
_PART = "part-{:06}.parquet"
_CURE = "choose another --output, or remove that folder"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is; two of which all but `root` is equal give the same rows."""

    model: str
    """The bundle's name of it."""
    variant: str
    model_sha256: str
    preprocessing: ImageSpec
    pixels: str
    """The manifest's kind of input."""
    labels_sha256: str
    top: int
    images: int
    images_sha256: str
    column: str
    partition_images: int
    root: str
    """The folder that relative paths start from."""


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """An output folder that nobody else writes to now."""

    folder: Path

    @property
    def draft(self) -> Path:
        """Where to write the paths that were found, until it is known that this run may go on."""
        return self.folder / _STATE / f".{_LISTING}.part"

    def begin(self, run: Run) -> Run:
        """Return the run that is kept here: a new one, or the one that is resumed.

        Raises:
            OptionError: if another run is kept here; says in what it differs.
        """
        path = self.folder / _STATE / _RUN_FILE
        if not path.exists():
            _publish(path, to_json(run))
            return run
        try:
            kept = from_json(Run, path.read_bytes(), str(path))
        except BundleError as error:
            raise OptionError(f"'{self.folder}' holds no readable run: {error}; {_CURE}") from None
        for field in dataclasses.fields(Run):
            given, before = getattr(run, field.name), getattr(kept, field.name)
            if given != before and field.name not in ("root", "partition_images"):
                raise OptionError(
                    f"'{self.folder}' holds another run, whose {field.name} is "
                    f"{_shorten(before)}; given {_shorten(given)}; {_CURE}"
                )
        return kept

    def keep(self, inputs: Inputs) -> Inputs:
        """Return the inputs, the draft of their paths put into its place if there is one."""
        if not self.draft.exists():
            return inputs
        listing = (self.folder / _STATE / _LISTING).absolute()
        os.replace(self.draft, listing)
        return dataclasses.replace(
            inputs, files=(TableFile(path=str(listing), rows=inputs.images),)
        )

    def find(self, partition: Partition) -> Tally | None:
        """Return the tally of a partition that is done; None if it is not, or not whole."""
        try:
            data = (self.folder / _PART.format(partition.number)).open("rb")
        except FileNotFoundError:
            return None
        with data:
            return read_tally(data, partition)

    def publish(self, partition: Partition, data: bytes) -> Tally:
        """Put the file of a partition into its place; return its tally."""
        _publish(self.folder / _PART.format(partition.number), data)
        tally = read_tally(io.BytesIO(data), partition)
        assert tally is not None
        return tally


@contextlib.contextmanager
def open_run_folder(folder: Path) -> Iterator[RunFolder]:
    """Hold an output folder as long as the block runs; it is made if need be.

    Where a system cannot lock (Windows, some network disks) nobody else is held back.

    Raises:
        OptionError: if it cannot be written, lies in a bundle, holds anything but a run, or another
            process runs.
    """
    refuse_within_bundle(folder)
    made = not folder.exists()
    try:
        _check_ours(folder)
        (folder / _STATE).mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _STATE / "lock", os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise OptionError(
            f"cannot write to '{folder}': {error.strerror}; mend that, or choose another --output"
        ) from None
    try:
        _lock(lock, folder)
        try:
            _sweep(folder)
            yield RunFolder(folder=folder)
        finally:
            _leave(folder, made=made)
    finally:
        os.close(lock)


def _check_ours(folder: Path) -> None:
    found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if found and _STATE not in found:
        raise OptionError(
            f"'{folder}' holds '{found[0]}', but no run of score; choose another --output"
        )


def _lock(lock: int, folder: Path) -> None:
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OptionError(
                f"another process is scoring into '{folder}'; wait for it, or choose another "
                "--output"
            ) from None
        except OSError:
            pass  # the file system cannot lock


def _sweep(folder: Path) -> None:
    """Remove what a run that was killed had not finished writing."""
    for stray in (*folder.glob(".*.part"), *(folder / _STATE).glob(".*.part")):
        stray.unlink(missing_ok=True)


def _leave(folder: Path, *, made: bool) -> None:
    """Remove the traces of a run that never began."""
    if (folder / _STATE / _RUN_FILE).exists():
        return
    shutil.rmtree(folder / _STATE, ignore_errors=True)
    if made:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _publish(path: Path, data: bytes) -> None:
    """Write the file whole or not at all, and be sure that it is on the disk."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OptionError(
            f"cannot write '{path}': {error.strerror}; mend that and ask again: what is written "
            "stays"
        ) from None


def _shorten(value: object) -> str:
    text = str(value)
    return f"'{text if len(text) <= 60 else text[:57] + '...'}'"
