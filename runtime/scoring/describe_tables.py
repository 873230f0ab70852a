"""Describes parquet files that hold paths of images, or encoded images; they need not be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.errors import OptionError
from runtime.scoring.inputs import PATH_COLUMN, Inputs
from runtime.scoring.partition import TableFile

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["describe_tables"]

_DEFAULT_COLUMNS = ("bytes", "image", PATH_COLUMN)
"""Tried in this order: where a table holds both, the path is the name of the image."""


def describe_tables(tables: Sequence[str], column: str) -> Inputs:
    """Return what is to be scored of parquet files.

    Args:
        tables: their paths.
        column: that holds the paths or images; empty to take "bytes", "image" or "path".

    Raises:
        OptionError: if a file cannot be read or lacks the column, or they differ in their columns.
    """
    digest = hashlib.sha256()
    files = []
    kinds = set()
    for path in tables:
        rows, footer, schema = _read_footer(path)
        digest.update(
            f"{os.path.basename(path)}\0{rows}\0".encode(errors="surrogateescape") + footer
        )
        files.append(TableFile(path=os.path.abspath(path), rows=rows))
        kinds.add(_find_column(path, schema, column))
    if len(kinds) > 1:
        raise OptionError(f"the {len(tables)} parquet files differ in their columns")
    name, holds, name_column = kinds.pop()
    if not any(file.rows for file in files):
        raise OptionError(f"'{tables[0]}' has no rows; expected an image in each")
    return Inputs(
        files=tuple(files),
        column=name,
        holds=holds,
        name_column=name_column,
        sha256=digest.hexdigest(),
    )


def _read_footer(path: str) -> tuple[int, bytes, pa.Schema]:
    """Return a table's length, the digest of its footer, which tells of all of it, and schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open(path, "rb") as file:
            metadata = pq.read_metadata(file)
            file.seek(-8 - metadata.serialized_size, os.SEEK_END)
            return (
                metadata.num_rows,
                hashlib.sha256(file.read()).digest(),
                metadata.schema.to_arrow_schema(),
            )
    except OSError as error:
        reason = error.strerror or str(error)
    except pa.ArrowException as error:
        reason = str(error)
    raise OptionError(
        f"'{path}' cannot be read as parquet ({' '.join(reason.split())[:160]}); is it complete?"
    )


def _find_column(path: str, schema: pa.Schema, column: str) -> tuple[str, str, str]:
    """Return the column's name, what it holds, and the column of names."""
    wanted = [column] if column else [name for name in _DEFAULT_COLUMNS if name in schema.names]
    if not wanted or wanted[0] not in schema.names:
        given = f"no column '{column}'" if column else f"none of {', '.join(_DEFAULT_COLUMNS)}"
        raise OptionError(f"'{path}' has {given}; it has: {', '.join(schema.names)}. Use --column")
    name = wanted[0]
    holds = _what_it_holds(schema.field(name).type)
    if not holds:
        raise OptionError(
            f"'{path}': the column '{name}' holds {schema.field(name).type}; expected paths "
            "(string), images (binary), or both (struct of bytes and path)"
        )
    named = holds == "images" and PATH_COLUMN in schema.names and name != PATH_COLUMN
    return name, holds, PATH_COLUMN if named and _is_text(schema.field(PATH_COLUMN).type) else ""


def _what_it_holds(kind: pa.DataType) -> str:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return "structs" if kind.get_field_index("bytes") >= 0 else ""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if _is_text(kind):
        return "paths"
    return "images" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else ""


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
