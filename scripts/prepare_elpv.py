"""Lays the installed elpv-dataset out as folders of classes, split into train, val and test.

    DEST/train/CLASS/cell0001.png ...  DEST/val/...  DEST/test/...
    DEST/split.csv                     path,label,split,probability,type of every image
    DEST/LICENSE.md                    of the images: CC-BY-NC-SA-4.0

The data set: 2,624 photographs of solar cells under electroluminescence, 300 x 300, 8-bit grey,
each with the probability of a defect that experts gave it (0, 1/3, 2/3 or 1) and its type.

    --classes 2   functional, defective: a cell is defective if that is more likely than not, at
                  2/3 and 1
    --classes 4   the probability in percent: defect-000, defect-033, defect-067, defect-100
    --classes 8   the type as well: mono-000 .. mono-100, poly-000 .. poly-100

The split is 70 % train, 10 % val, 20 % test of each type and probability, ordered by the images'
own bytes: it is the same everywhere and for any number of classes.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from export.training.split import PARTS, Shares, split
from runtime.command_line import run
from runtime.errors import BackendMissingError, BundleError, OptionError
from runtime.publishing.staging import staging
from runtime.table import text_table
from runtime.terminal import Screen

PACKAGE = "elpv-dataset"
SHARES = Shares(val=0.10, test=0.20)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A photograph of a solar cell."""

    image: Path
    percent: int
    """How likely it is defective: 0, 33, 67 or 100."""
    kind: str
    """"mono" or "poly"."""


@app.command()
def prepare(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that does not exist yet.")],
    classes: Annotated[int, typer.Option(help="2, 4 or 8.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Lay the installed elpv-dataset out as folders of classes, with a fixed split."""
    if classes not in (2, 4, 8):
        raise OptionError(f"--classes: given {classes}; expected 2, 4 or 8")
    if dest.exists():
        raise OptionError(f"'{dest}' exists; remove it, or choose another folder")
    cells = find_cells()
    labels = [name_class(cell, classes) for cell in cells]
    parts = split_cells(cells)
    write(dest, cells, labels, parts)
    counts = Counter(zip(labels, parts, strict=True))
    table = {label: [counts[label, part] for part in PARTS] for label in sorted(set(labels))}
    screen = Screen(json=json)
    rows = [(label, *map(str, numbers)) for label, numbers in table.items()]
    screen.result(text_table(("class", *PARTS), rows))
    screen.result(f"{len(cells)} images in {dest}; licence CC-BY-NC-SA-4.0: not for commercial use")
    screen.document({"folder": str(dest), "parts": PARTS, "images": table})


def find_cells() -> list[Cell]:
    """Return the photographs of the installed package, in its own order."""
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or found.origin is None:
        raise BackendMissingError(f"there is no package '{PACKAGE}'. Run: pip install {PACKAGE}")
    folder = Path(found.origin).parent / "data"
    try:
        rows = [line.split() for line in (folder / "labels.csv").read_text("utf-8").splitlines()]
        return [
            Cell(image=folder / name, percent=round(100 * float(probability)), kind=kind)
            for name, probability, kind in rows
        ]
    except (OSError, ValueError) as error:
        raise OptionError(
            f"the installed {PACKAGE} cannot be read ({error}); "
            f"run: pip install --force-reinstall {PACKAGE}"
        ) from None


def name_class(cell: Cell, classes: int) -> str:
    """Return the name of the cell's class, one of 2, 4 or 8."""
    if classes == 2:
        return "defective" if cell.percent > 50 else "functional"
    return f"{'defect' if classes == 4 else cell.kind}-{cell.percent:03d}"


def split_cells(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the part of each cell, which its type, its probability and its bytes decide."""
    return split(
        [name_class(cell, 8) for cell in cells], [cell.image.read_bytes() for cell in cells], SHARES
    )


def write(dest: Path, cells: Sequence[Cell], labels: Sequence[str], parts: Sequence[str]) -> None:
    """Make the folder, whole or not at all.

    Raises:
        BundleError: if it cannot be written.
    """
    try:
        with staging(dest.absolute().parent) as folder:
            staged = folder / "bundle"
            with (staged / "split.csv").open("w", encoding="utf-8", newline="") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(("path", "label", "split", "probability", "type"))
                for cell, label, part in zip(cells, labels, parts, strict=True):
                    path = Path(part, label, cell.image.name)
                    (staged / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(cell.image, staged / path)
                    table.writerow((path.as_posix(), label, part, cell.percent / 100, cell.kind))
            licence = importlib.metadata.distribution(PACKAGE).read_text("licenses/LICENSE.md")
            (staged / "LICENSE.md").write_text(licence or "CC-BY-NC-SA-4.0\n", "utf-8")
            staged.rename(dest)
    except OSError as error:
        raise BundleError(f"cannot write '{dest}': {error.strerror or error}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    return run(app, "scripts/prepare_elpv.py", argv)


if __name__ == "__main__":
    raise SystemExit(main())
