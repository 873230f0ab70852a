"""Finds what is to be scored: a tree, a pattern, a list of paths, or tables of paths or images.

All of them become rows of parquet files. Paths that no table holds are written into one first, as
they are found, so that their number costs no memory.

    a folder                 the images below it; if there are none, its parquet files
    a pattern                the images, or the parquet files, that it matches
    .parquet                 a table: a column of paths, of encoded images, or of both in a struct
    .txt .lst .list          a path a line
    any other file           an image
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.errors import OptionError
from runtime.find_images import find_images, walk_images
from runtime.open_image import SUFFIX_FORMATS
from runtime.scoring.describe_tables import describe_tables
from runtime.scoring.inputs import PATH_COLUMN, Inputs
from runtime.scoring.partition import TableFile

__all__ = ["find_inputs"]

_LISTS = (".txt", ".lst", ".list")
_TABLE = ".parquet"
_ROWS_AT_ONCE = 8192
_LONGEST_LINE = 1 << 16
"""Bytes; no system has longer paths, and a file without lines may have no end."""


def find_inputs(images: str, column: str, listing: Path) -> Inputs:
    """Return what a folder, pattern, list or table stands for.

    Args:
        images: its path; see above.
        column: of a table; empty to take "bytes", "image" or "path".
        listing: where to write the paths that no table holds.

    Raises:
        OptionError: if it stands for nothing, cannot be read, or a table lacks the column.
    """
    tables = _find_tables(images)
    if tables:
        return describe_tables(tables, column)
    if column:
        raise OptionError(f"--column {column}: '{images}' is no parquet file, so it has no columns")
    rows, digest = _write_paths(_list_paths(images), listing)
    if not rows:
        raise OptionError(f"'{images}' names no image; expected a path a line")
    return Inputs(
        files=(TableFile(path=os.path.abspath(listing), rows=rows),),
        column=PATH_COLUMN,
        holds="paths",
        name_column="",
        sha256=digest,
    )


def _find_tables(images: str) -> list[str]:
    """Return the parquet files it stands for; none if it stands for something else."""
    if os.path.isdir(images):
        if next(walk_images(images), None) is not None:
            return []
        found = sorted(
            glob.glob(os.path.join(glob.escape(images), "**", f"*{_TABLE}"), recursive=True)
        )
        return [path for path in found if not _is_hidden(os.path.relpath(path, images))]
    if images.endswith(_TABLE) and glob.has_magic(images) and not os.path.exists(images):
        found = sorted(glob.glob(images, recursive=True))
        if not found:
            raise OptionError(f"'{images}' matches nothing; expected parquet files")
        return found
    return [images] if images.endswith(_TABLE) else []


def _is_hidden(path: str) -> bool:
    """Return whether programs that read a folder of parquet pass the file over."""
    return any(part.startswith((".", "_")) for part in Path(path).parts)


def _list_paths(images: str) -> Iterator[bytes]:
    if os.path.isdir(images):
        return _walk(images)
    if images.endswith(_LISTS) and os.path.isfile(images):
        return _read_list(images)
    if not os.path.exists(images) and not glob.has_magic(images):
        raise OptionError(
            f"'{images}' does not exist; expected a folder, a pattern, a list of paths "
            f"({', '.join(_LISTS)}) or a table ({_TABLE})"
        )
    if os.path.isfile(images) and os.path.splitext(images)[1].lower() not in SUFFIX_FORMATS:
        raise OptionError(
            f"'{images}' ends in none of {', '.join((*_LISTS, _TABLE, *SUFFIX_FORMATS))}; "
            "expected a list, a table or an image"
        )
    return map(os.fsencode, find_images([images]))


def _walk(folder: str) -> Iterator[bytes]:
    empty = True
    for path in walk_images(folder):
        empty = False
        yield os.fsencode(path)
    if empty:
        find_images([folder])  # says what it looked for


def _read_list(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), b"")):
                if len(line) == _LONGEST_LINE:
                    raise OptionError(
                        f"'{path}': line {number + 1} is no path; expected one a line"
                    )
                name = line.rstrip(b"\r\n")
                if not number:
                    name = name.removeprefix(b"\xef\xbb\xbf")  # the byte order mark of Windows
                if name:
                    yield name
    except OSError as error:
        raise OptionError(f"cannot read '{path}': {error.strerror}") from None


def _write_paths(paths: Iterator[bytes], listing: Path) -> tuple[int, str]:
    """Write the paths into a table; return their number and the SHA-256 of all of them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    digest = hashlib.sha256()
    rows = 0
    schema = pa.schema([(PATH_COLUMN, pa.binary())])
    with pq.ParquetWriter(listing, schema, compression="zstd") as writer:
        for chunk in _chunks(paths):
            digest.update(b"".join(path + b"\0" for path in chunk))
            rows += len(chunk)
            writer.write_table(pa.table([pa.array(chunk, pa.binary())], schema=schema))
    return rows, digest.hexdigest()


def _chunks(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for path in paths:
        chunk.append(path)
        if len(chunk) == _ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
