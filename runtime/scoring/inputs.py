"""Inputs: what is to be scored, as rows of parquet files."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.scoring.partition import TableFile

__all__ = ["PATH_COLUMN", "Inputs"]

PATH_COLUMN = "path"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What is to be scored: rows of files, in order."""

    files: tuple[TableFile, ...]
    column: str
    holds: str
    """What is in the column: "paths", "images", or "structs" of bytes and path."""
    name_column: str
    """Another column, of what to call each image; empty if there is none."""
    sha256: str
    """Of the list: of every path, or of every table's name, length and footer."""

    @property
    def images(self) -> int:
        """How many there are."""
        return sum(file.rows for file in self.files)
