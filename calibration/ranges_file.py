"""The ranges of a model on disk, with the key of what they were measured on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.keys import DataKey, ModelKey, differing_parts
from calibration.ranges import GRIDS, ActivationRanges, Grid
from runtime.errors import BundleError, OptionError
from runtime.publishing.replace_file import replace_file
from runtime.read_file import read_file
from runtime.schema import from_json, to_json

__all__ = ["RANGES_FILE", "SCHEMA_VERSION", "RangesFile"]

RANGES_FILE = "ranges.json"
"""Its name within a bundle."""

SCHEMA_VERSION = 2
"""Also of how `calibration.equalize` uses the peaks: the ranges are of the graph it makes."""

_MEANING = {
    "graph": "another graph",
    "weights": "other weights",
    "preprocessing": "another preprocessing",
    "images": "other images",
    "method": "another method",
}


@dataclass(frozen=True, kw_only=True)
class RangesFile:
    """The outcome of a calibration.

    Raises:
        OptionError: if it is of another schema version, or lacks the ranges of a grid.
    """

    schema_version: int = SCHEMA_VERSION
    model: ModelKey
    """Of the graph as it was exported."""
    data: DataKey
    images: int
    """How many images the ranges were measured on."""
    grids: dict[str, ActivationRanges]
    """The ranges chosen for each grid, by the grid's name."""
    peaks: dict[str, tuple[float, ...]]
    """What the graph was equalized with before its ranges were measured."""

    def __post_init__(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise OptionError(
                f"given schema version {self.schema_version}; expected {SCHEMA_VERSION}: "
                "calibrate again"
            )
        for grid in GRIDS:
            if grid.name not in self.grids:
                raise OptionError(f"lacks the ranges for {grid.name}; calibrate again")

    def ranges(self, grid: Grid) -> ActivationRanges:
        """Return the ranges for the grid."""
        return self.grids[grid.name]

    def save(self, path: Path) -> None:
        """Write the file, all of it or nothing.

        Raises:
            BundleError: if it cannot be written.
        """
        replace_file(path, to_json(self))

    @staticmethod
    def load(path: Path, expected: ModelKey | DataKey, *more: ModelKey | DataKey) -> RangesFile:
        """Return the ranges in a file, if they are of what they are to be used for.

        Raises:
            BundleError: if it cannot be read, is no ranges file, or was measured on something else;
                the message names which parts differ.
        """
        try:
            data = read_file(path)
        except OSError as error:
            raise BundleError(
                f"cannot read the ranges '{path}': {error.strerror}; make them with: "
                "python -m calibration BUNDLE --data FOLDER"
            ) from None
        ranges = from_json(RangesFile, data, str(path))
        given: tuple[ModelKey | DataKey, ...] = (ranges.model, ranges.data)
        differing = [
            _MEANING[part]
            for wanted in (expected, *more)
            for own in given
            if type(own) is type(wanted)
            for part in differing_parts(own, wanted)
        ]
        if differing:
            raise BundleError(
                f"the ranges '{path}' are stale: they were measured with {', '.join(differing)}; "
                "calibrate again"
            )
        return ranges
