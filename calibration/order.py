"""Order: what to calibrate on and how. What words alone show to be wrong is told at its birth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calibration.images import ImageFile
from calibration.methods import METHODS
from calibration.survey import FEWEST
from runtime.errors import OptionError

__all__ = ["AUTO", "Order"]

AUTO = "auto"
"""The method that tries the others: ranges of one half of the images, on images of the other."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to measure on, and how.

    Raises:
        OptionError: if the method is unknown, or fewer images are asked for than are needed.
    """

    data: Path
    """Folder with calibration images."""
    checkpoint: Path
    """File that keeps the state while the calibration runs."""
    images: int = 512
    """At most; spread evenly over the folder."""
    method: str = AUTO
    without: tuple[ImageFile, ...] = ()
    """Images of the folder that the ranges are to be judged by: they are not measured."""

    def __post_init__(self) -> None:
        if self.method != AUTO and self.method not in METHODS:
            known = ", ".join((*METHODS, AUTO))
            raise OptionError(f"method: given '{self.method}'; expected one of {known}")
        if self.images < FEWEST:
            raise OptionError(f"--images: given {self.images}; expected at least {FEWEST}")
