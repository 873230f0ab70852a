"""Surveys a calibration set: what a person should know of it, and what it is refused for."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.images import ImageRecord
from runtime.errors import ImageError

__all__ = ["FEWEST", "Survey", "refuse_unfit", "refuse_unreal", "survey"]

FEWEST = 10
"""Different images a calibration needs. NVIDIA and Intel advise 300 to 500."""

_NOISE = 0.2
"""Median correlation of neighbouring pixels below which a set is noise: random pixels reach 0.16
when they were scaled down, 8x8 digits have 0.53, photographs and scans over 0.9."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The calibration set in numbers."""

    read: int
    """Images that were used."""
    skipped: tuple[str, ...]
    """Files that could not be read: name and reason."""
    duplicates: tuple[str, ...]
    """Files whose bytes are those of an earlier one."""
    constant: tuple[str, ...]
    """Images of a single colour."""
    sizes: dict[str, int]
    """How many of the images have which size and mode, the most frequent first: "300x300 L"."""
    saturated: float
    """Mean share of values that are 0 or 255."""
    correlation: float
    """Median over the images of the correlation of neighbouring pixels."""

    @property
    def different(self) -> int:
        """Images that were used, each counted once."""
        return self.read - len(self.duplicates)


def survey(records: Sequence[ImageRecord]) -> Survey:
    """Return the calibration set in numbers.

    Args:
        records: one a file, in the order they were read.
    """
    good = [record for record in records if not record.error]
    sizes = Counter(f"{record.width}x{record.height} {record.mode}" for record in good)
    seen: set[str] = set()
    duplicates = []
    for record in good:
        if record.sha256 in seen:
            duplicates.append(record.name)
        seen.add(record.sha256)
    return Survey(
        read=len(good),
        skipped=tuple(f"{record.name}: {record.error}" for record in records if record.error),
        duplicates=tuple(duplicates),
        constant=tuple(record.name for record in good if record.constant),
        sizes=dict(sizes.most_common()),
        saturated=statistics.fmean(record.saturated for record in good) if good else 0.0,
        correlation=statistics.median(r.correlation for r in good) if good else 1.0,
    )


def refuse_unfit(survey: Survey) -> None:
    """Return if ranges can be measured on these images.

    Raises:
        ImageError: if too few different images could be read, more than half of them are of a
            single colour, or they are noise.
    """
    if not survey.read and survey.skipped:
        raise ImageError(
            f"none of {len(survey.skipped)} calibration images could be read; the first: "
            f"{survey.skipped[0]}"
        )
    if survey.different < FEWEST:
        raise ImageError(
            f"calibration images: of {survey.read} that could be read no more than "
            f"{survey.different} differ; expected at least {FEWEST}, better 300, of what the model "
            "will see"
        )
    refuse_unreal(survey, "calibration images")


def refuse_unreal(survey: Survey, purpose: str) -> None:
    """Return unless these are images that no model is made for.

    Args:
        survey: of the images, or of a sample of them.
        purpose: what they are for: "calibration images".

    Raises:
        ImageError: if more than half of them are of a single colour, or they are noise.
    """
    if 2 * len(survey.constant) > survey.read:
        raise ImageError(
            f"{purpose}: {len(survey.constant)} of {survey.read} are of a single colour, "
            f"such as '{survey.constant[0]}'; expected images of what the model will see"
        )
    if survey.correlation < _NOISE:
        raise ImageError(
            f"{purpose}: these are random noise (neighbouring pixels correlate by "
            f"{survey.correlation:.2f}; real images by 0.5 to 1); expected images of what the "
            "model will see"
        )
