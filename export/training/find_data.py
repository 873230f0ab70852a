"""Finds labelled images, laid out in one of three ways.

    FOLDER/train/CLASS/...  FOLDER/val/CLASS/...  [FOLDER/test/CLASS/...]
    FOLDER/CLASS/...        split here
    FILE.csv                columns path and label; paths are relative to the file. With a column
                            split (train, val or test) as it says, without one split here

Names that begin with a dot are passed over. What is split here is split by label and by the files'
names within the folder, so that the same folder elsewhere is split alike.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from export.training.data import DataSet, Example, name_below
from export.training.split import PARTS, Shares, split
from runtime.errors import OptionError
from runtime.find_images import find_images
from runtime.read_file import read_file

__all__ = ["find_data"]

_TOLD = "the split it came with"


def find_data(path: Path, shares: Shares, seed: int) -> DataSet:
    """Return the labelled images of a folder or a CSV file.

    Args:
        path: as above.
        shares: of val and test, where it is split here.
        seed: another one gives another split.

    Raises:
        OptionError: if there is nothing of the kind, or it cannot be trained on.
    """
    if path.is_file():
        examples, told = _read_csv(path)
    elif (path / "train").is_dir():
        examples, told = list(_read_parts(path)), True
    elif path.is_dir():
        examples, told = list(_read_classes(path, "")), False
    else:
        raise OptionError(
            f"there is no '{path}'; expected a folder with one folder per class, or a CSV file"
        )
    root = path if path.is_dir() else path.parent
    if told:
        return DataSet.of(examples, root, f"'{path.name}', {_TOLD}")
    origin = f"'{path.name}', {shares.val:g} val and {shares.test:g} test by file name, seed {seed}"
    keys = [f"{seed}/{name_below(root, example.path)}".encode() for example in examples]
    parts = split([example.label for example in examples], keys, shares)
    chosen = [replace(example, part=part) for example, part in zip(examples, parts, strict=True)]
    return DataSet.of(chosen, root, origin)


def _read_parts(folder: Path) -> Iterator[Example]:
    if not (folder / "val").is_dir():
        raise OptionError(
            f"'{folder}' has a folder train but no folder val; expected both, "
            "or class folders only, which are split"
        )
    for part in PARTS:
        if (folder / part).is_dir():
            yield from _read_classes(folder / part, part)


def _read_classes(folder: Path, part: str) -> Iterator[Example]:
    classes = sorted(child for child in folder.iterdir() if _is_class(child))
    if not classes:
        raise OptionError(f"'{folder}' holds no folders; expected one per class, with its images")
    for child in classes:
        for image in find_images([child]):
            yield Example(path=image, label=child.name, part=part)


def _is_class(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _read_csv(path: Path) -> tuple[list[Example], bool]:
    """Return the examples, and whether the file says how they are split."""
    try:
        reader = csv.DictReader(io.StringIO(read_file(path).decode("utf-8-sig"), newline=""))
        columns = reader.fieldnames or ()
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a UTF-8 CSV file"
        raise OptionError(f"cannot read '{path}': {reason}") from None
    if not {"path", "label"} <= set(columns):
        shown = ",".join(columns)[:60]
        raise OptionError(f"'{path}' begins with '{shown}'; expected the columns path,label")
    examples = [_read_row(path, line, row) for line, row in enumerate(rows, start=2)]
    paths = [example.path for example in examples]
    if len(set(paths)) < len(paths):
        twice = next(name for index, name in enumerate(paths) if name in paths[:index])
        raise OptionError(f"'{path}' names '{twice}' twice; expected every image once")
    return examples, "split" in columns


def _read_row(path: Path, line: int, row: dict[str, str | None]) -> Example:
    name, label, part = row["path"], row["label"], row.get("split", "")
    if not name or not label:
        raise OptionError(f"'{path}', line {line}: expected a path and a label")
    if "split" in row and part not in PARTS:
        raise OptionError(f"'{path}', line {line}: given split '{part}'; expected train, val, test")
    return Example(path=path.parent / name, label=label, part=part or "")
