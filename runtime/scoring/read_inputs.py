"""Reads the inputs of a partition from its file, a few rows at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import ImageError, OptionError
from runtime.open_image import decode_image, open_image
from runtime.scoring.inputs import Inputs
from runtime.scoring.partition import Partition

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from PIL.Image import Image

__all__ = ["Input", "read_inputs"]

_ROWS_AT_ONCE = 16
"""Few, for each may hold a photograph of many megabytes."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One of the images to be scored."""

    index: int
    """Its position among all inputs."""
    name: str
    """Its path as it was given, or what its table calls it."""
    path: str = ""
    """Where it lies; empty if `data` is the image."""
    data: bytes | None = None

    def open(self) -> Image:
        """Return the image, decoded.

        Raises:
            ImageError: as `runtime.open_image`; the message does not name the image.
        """
        shown = self.path or self.name
        try:
            if self.data is not None:
                return decode_image(self.data, shown)
            if self.path:
                return open_image(self.path)
        except ImageError as error:
            raise ImageError(str(error).removeprefix(f"{shown}: ")) from None
        raise ImageError("its table holds null; expected an image")


def read_inputs(partition: Partition, inputs: Inputs, root: str) -> Iterator[Input]:
    """Return the inputs of a partition, in order.

    Args:
        partition: which rows.
        inputs: of which it is a part.
        root: the folder that relative paths start from.

    Raises:
        OptionError: if its file cannot be read, or is no longer what it was.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Mapped: read otherwise, a page comes whole into memory, and pages of gigabytes exist.
        with pq.ParquetFile(partition.file, memory_map=True, pre_buffer=False) as table:
            rows = _read_rows(table, partition, [inputs.column, inputs.name_column])
            for offset, (value, name) in enumerate(rows):
                row = f"{os.path.basename(partition.file)}#{partition.first + offset}"
                yield _make_input(partition.start + offset, value, name or row, inputs, root)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:160]
        raise OptionError(
            f"'{partition.file}' cannot be read ({reason}); is it complete?"
        ) from None


def _read_rows(
    table: pq.ParquetFile, partition: Partition, columns: list[str]
) -> Iterator[tuple[Any, Any]]:
    """Return the value and the name of each of the partition's rows."""
    groups, skipped, position = [], 0, 0
    end = partition.first + partition.rows
    for group in range(table.metadata.num_row_groups):
        following = position + table.metadata.row_group(group).num_rows
        if following <= partition.first:
            skipped = following
        elif position < end:
            groups.append(group)
        position = following
    if position < end:
        raise OSError(f"{position} rows; expected {end}: it was changed since the run began")
    left, skip = partition.rows, partition.first - skipped
    wanted = [column for column in columns if column]
    batches = table.iter_batches(
        _ROWS_AT_ONCE, row_groups=groups, columns=wanted, use_threads=False
    )
    for batch in batches:
        rows = batch.slice(skip, left) if skip < batch.num_rows else batch.slice(0, 0)
        skip = max(0, skip - batch.num_rows)
        left -= rows.num_rows
        values = rows.column(columns[0]).to_pylist()
        names = rows.column(columns[1]).to_pylist() if columns[1] else [None] * len(values)
        yield from zip(values, names, strict=True)
        if not left:
            return


def _make_input(index: int, value: Any, name: str, inputs: Inputs, root: str) -> Input:  # noqa: ANN401 (of any column)
    if inputs.holds == "structs":
        name, path, data = (
            (value or {}).get("path") or name,
            (value or {}).get("path"),
            (value or {}).get("bytes"),
        )
    elif inputs.holds == "paths":
        path, data = value, None
        name = name if value is None else os.fsdecode(value)
    else:
        path, data = None, value
    if data is not None or path is None:
        return Input(index=index, name=name, data=data)
    return Input(index=index, name=name, path=os.path.join(root, os.fsdecode(path)))
