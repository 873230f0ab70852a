"""Reads the names of a model's classes from a text file."""

from __future__ import annotations

from pathlib import Path

from runtime.errors import OptionError
from runtime.read_file import read_file

__all__ = ["read_labels"]


def read_labels(path: Path, classes: int) -> tuple[str, ...]:
    """Return the labels in a UTF-8 text file, one a line.

    Raises:
        OptionError: if it cannot be read, or has not one label a class.
    """
    try:
        labels = tuple(line.strip() for line in read_file(path).decode("utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OptionError(
            f"cannot read labels from '{path}': {reason}; expected one label a line"
        ) from None
    if len(labels) != classes or not all(labels):
        empty = labels.count("")
        raise OptionError(
            f"labels: '{path}' has {len(labels)} lines, {empty} of them empty; "
            f"expected {classes}, one label a class"
        )
    return labels
