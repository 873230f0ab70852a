"""The parquet file of a scored partition, which says of itself what it is and what went wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from runtime.errors import BundleError
from runtime.schema import from_json, to_json
from runtime.scoring.partition import Partition
from runtime.scoring.tally import Tally, count_errors

if TYPE_CHECKING:
    from runtime.scoring.score_chunk import Row

__all__ = ["encode", "read_tally"]

_PARTITION_KEY, _TALLY_KEY = b"resnet-deploy.partition", b"resnet-deploy.tally"


def encode(partition: Partition, rows: Sequence[Row]) -> bytes:
    """Return the parquet file of a partition.

    Its columns: index, int64, the position of the image among the inputs; path; labels and
    probabilities, lists with the most probable first; error. An image has either those or this.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tally = count_errors(len(rows), ((row.path, row.error) for row in rows if row.error))
    schema = pa.schema(
        {
            "index": pa.int64(),
            "path": pa.string(),
            "labels": pa.list_(pa.string()),
            "probabilities": pa.list_(pa.float32()),
            "error": pa.string(),
        },
        metadata={_PARTITION_KEY: _mark(partition), _TALLY_KEY: to_json(tally)},
    )
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    written = io.BytesIO()
    pq.write_table(pa.table(columns, schema=schema), written, compression="zstd")
    return written.getvalue()


def _mark(partition: Partition) -> bytes:
    return json.dumps([partition.number, partition.start, partition.rows]).encode()


def read_tally(file: BinaryIO, partition: Partition) -> Tally | None:
    """Return what a partition's file says of itself; None if it is broken, or another's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(file)
        marks = footer.metadata or {}
        if marks.get(_PARTITION_KEY) != _mark(partition) or footer.num_rows != partition.rows:
            return None
        return from_json(Tally, marks[_TALLY_KEY], "a partition")
    except (OSError, KeyError, pa.ArrowException, BundleError):
        return None
