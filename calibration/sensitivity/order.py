"""Order: which costs are asked for, and what is wanted of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from calibration.ranges import INT8, UINT8
from calibration.survey import FEWEST
from runtime.errors import OptionError

__all__ = ["TARGETS", "Order"]

TARGETS = MappingProxyType({"tensorrt": INT8, "cpu": UINT8})
"""The grid that each target computes on."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked, and what is wanted of the answer.

    Raises:
        OptionError: if the target is unknown, a number is too small, or the plot is no SVG.
    """

    data: Path
    target: str = "tensorrt"
    images: int = 64
    top: int = 20
    """Nodes that are shown to a person."""
    plot: Path | None = None

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise OptionError(
                f"target: given '{self.target}'; expected one of {', '.join(TARGETS)}"
            )
        if self.images < FEWEST:
            raise OptionError(f"--images: given {self.images}; expected at least {FEWEST}")
        if self.top < 1:
            raise OptionError(f"--top: given {self.top}; expected at least 1")
        if self.plot is not None and self.plot.suffix != ".svg":
            raise OptionError(f"plot: given '{self.plot}'; expected the name of an .svg file")
