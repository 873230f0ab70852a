"""Reads the file that tells the classes of images that lie in one folder.

ILSVRC2012_validation_ground_truth.txt         an ILSVRC id a line, images sorted by name
imagenet_2012_validation_synset_labels.txt     a WordNet id a line, likewise
any other text                                 a label a line, likewise; or "name label" a line
LOC_val_solution.csv                           ImageId,PredictionString; the label comes first
any other CSV                                  name,label
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.errors import OptionError
from runtime.evaluation import imagenet
from runtime.read_file import read_file

__all__ = ["find_truth", "read_truth"]

_DEVKIT = "ILSVRC2012_validation_ground_truth.txt"
_USUAL = (
    _DEVKIT,
    f"ILSVRC2012_devkit_t12/data/{_DEVKIT}",
    "imagenet_2012_validation_synset_labels.txt",
    "LOC_val_solution.csv",
    "val.txt",
)
"""Where the classes of ImageNet's validation images usually are told, in or beside the folder."""


def find_truth(folder: Path) -> Path | None:
    """Return a ground truth of one of the usual names in the folder or beside it, if any."""
    places = (place / name for place in (folder, folder.absolute().parent) for name in _USUAL)
    return next((path for path in places if path.is_file()), None)


def read_truth(file: Path, images: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return each image and its label.

    Args:
        file: the ground truth.
        images: all images of the folder.

    Raises:
        OptionError: if the file cannot be read, tells of another number of images, or of images
            that are not there.
    """
    try:
        text = read_file(file).decode("utf-8-sig")
        lines = [line for line in text.splitlines() if line.strip()]
        pairs = list(_named(lines, file))
    except OSError as error:
        raise OptionError(f"cannot read the ground truth '{file}': {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise OptionError(
            f"the ground truth '{file}' is not text; expected a label a line"
        ) from None
    by_name = {image.name: image for image in images} | {image.stem: image for image in images}
    if pairs and pairs[0][0] in by_name:
        return _look_up(pairs, by_name, file)
    if len(lines) != len(images):
        raise OptionError(
            f"the ground truth '{file}' has {len(lines)} lines for {len(images)} images; expected "
            "a line for each"
        )
    ordered = sorted(images, key=lambda image: image.name)
    if file.name == _DEVKIT:
        lines = [_from_devkit(line, file) for line in lines]
    return [(image, line.strip()) for image, line in zip(ordered, lines, strict=True)]


def _named(lines: Sequence[str], file: Path) -> Iterator[tuple[str, str]]:
    """Yield name and label of the lines that tell both, if they do; a header is passed over."""
    if file.suffix.lower() != ".csv":
        for line in lines:
            name, _, label = line.strip().partition(" ")
            yield Path(name).name, label.strip()
        return
    for row in csv.reader(lines):
        if row[0] not in ("ImageId", "path", "image", "file", "filename", "name"):
            # Of LOC_val_solution.csv the second cell is "n03995372 85 1 499 272": class and box.
            label = row[1].strip() if len(row) > 1 else ""
            first = label.partition(" ")[0]
            yield Path(row[0]).name, first if imagenet.WNID.fullmatch(first) else label


def _look_up(
    pairs: Sequence[tuple[str, str]], by_name: dict[str, Path], file: Path
) -> list[tuple[Path, str]]:
    missing = [name for name, _ in pairs if name not in by_name]
    if missing:
        raise OptionError(
            f"the ground truth '{file}' names {len(missing)} images that are not there, such as "
            f"'{missing[0]}'"
        )
    return [(by_name[name], label) for name, label in pairs]


def _from_devkit(line: str, file: Path) -> str:
    try:
        return imagenet.wnid_of(int(line))
    except (ValueError, IndexError):
        raise OptionError(
            f"the ground truth '{file}' holds '{line.strip()}'; expected ILSVRC ids, 1 to 1000"
        ) from None
