"""Labelled images on a disk, in the layouts that people have them in.

data/CLASS/.../x.jpg           a folder for each class; below it, any depth
data.csv                       path,label; paths relative to the file, a header or none
val/ILSVRC2012_val_0...1.JPEG  no folders, and a file that tells the classes: see ground_truth
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import OptionError
from runtime.evaluation.ground_truth import find_truth, read_truth
from runtime.find_images import find_images
from runtime.read_file import read_file

__all__ = ["Dataset", "Example", "open_dataset"]

_PATHS = ("path", "image", "file", "filename", "file_name", "name")
_LABELS = ("label", "class", "classname", "class_name", "category", "target")
"""Words of a CSV file's header, in small letters."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image and what it shows, in the data's own words."""

    path: Path
    label: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images and their labels, none of them read yet."""

    source: Path
    root: Path
    """The folder that the examples' paths are told relative to; absolute."""
    layout: str
    """How the labels are told, for a person."""
    examples: tuple[Example, ...]

    def labels(self) -> list[str]:
        """Return each label once, sorted."""
        return sorted({example.label for example in self.examples})

    def name(self, path: Path) -> str:
        """Return a path below the root with forward slashes, any other as it is."""
        absolute = path.absolute()
        inside = absolute.is_relative_to(self.root)
        return (absolute.relative_to(self.root) if inside else absolute).as_posix()

    def sha256(self) -> str:
        """Return the hash of all paths and labels, in order."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(f"{self.name(example.path)}\0{example.label}\n".encode())
        return digest.hexdigest()

    def limited(self, count: int) -> Dataset:
        """Return at most so many of the images, spread evenly over the list; 0 is all of them."""
        total = len(self.examples)
        kept = min(count or total, total)
        chosen = tuple(self.examples[index * total // kept] for index in range(kept))
        return Dataset(source=self.source, root=self.root, layout=self.layout, examples=chosen)


def open_dataset(source: Path, truth: Path | None = None) -> Dataset:
    """Return the labelled images of a folder or a CSV file.

    Args:
        source: a folder, or a CSV file.
        truth: the file that tells the classes of a folder without folders; by default one of the
            usual names in it or beside it.

    Raises:
        OptionError: if there are none, or their classes are not told, or an image stands twice.
    """
    if source.is_dir():
        dataset = _open_folder(source, truth)
    elif not source.exists():
        raise OptionError(f"--data: there is no '{source}'; expected a folder or a CSV file")
    elif truth is not None:
        raise OptionError("--truth is for a folder of images; a CSV file tells the labels itself")
    else:
        dataset = _open_csv(source)
    twice = [path for path, n in Counter(each.path for each in dataset.examples).items() if n > 1]
    if twice:
        raise OptionError(f"'{source}' names '{twice[0]}' more than once; expected each image once")
    return dataset


def _open_folder(folder: Path, truth: Path | None) -> Dataset:
    images = find_images([folder])
    loose = [image for image in images if image.parent == folder]
    if truth is None and loose:
        truth = find_truth(folder)
    if truth is not None:
        labelled = read_truth(truth, loose or images)
        return Dataset(
            source=folder.absolute(),
            root=folder.absolute(),
            layout=f"ground truth in '{truth}'",
            examples=tuple(Example(path=image, label=label) for image, label in labelled),
        )
    if loose:
        raise OptionError(
            f"nothing tells the class of '{loose[0]}'; expected a folder for each class in "
            f"'{folder}', or give a CSV file of path,label, or --truth FILE"
        )
    return Dataset(
        source=folder.absolute(),
        root=folder.absolute(),
        layout="a folder for each class",
        examples=tuple(
            Example(path=image, label=image.relative_to(folder).parts[0]) for image in images
        ),
    )


def _open_csv(file: Path) -> Dataset:
    try:
        lines = io.StringIO(read_file(file).decode("utf-8-sig"), newline="")
        rows = [row for row in csv.reader(lines) if any(row)]
    except OSError as error:
        raise OptionError(f"--data: cannot read '{file}': {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        reason = str(error).split(":")[0]
        raise OptionError(
            f"--data: '{file}' is not a CSV file in UTF-8 ({reason}); expected path,label"
        ) from None
    columns, body = _columns(rows)
    if not body:
        raise OptionError(f"--data: '{file}' names no image; expected lines of path,label")
    examples = []
    for number, row in enumerate(body, start=1):
        if max(columns) >= len(row) or not row[columns[0]].strip():
            raise OptionError(
                f"--data: row {number} of '{file}' is '{','.join(row)}'; expected path,label"
            )
        path, label = (row[column].strip() for column in columns)
        examples.append(Example(path=file.parent / path, label=label))
    return Dataset(
        source=file.absolute(),
        root=file.absolute().parent,
        layout="a CSV file",
        examples=tuple(examples),
    )


def _columns(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, int], Sequence[Sequence[str]]]:
    """Return where path and label stand, and the rows without the header."""
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    paths = [head.index(word) for word in _PATHS if word in head]
    labels = [head.index(word) for word in _LABELS if word in head]
    if paths and labels:
        return (paths[0], labels[0]), rows[1:]
    return (0, 1), rows
