"""Chooses a range for every tensor of a measurement."""

from __future__ import annotations

from calibration.measure import Measurement
from calibration.methods import METHODS
from calibration.ranges import ActivationRanges, Grid
from runtime.errors import OptionError

__all__ = ["choose"]


def choose(measurement: Measurement, method: str, grid: Grid) -> ActivationRanges:
    """Return the range that the method gives each tensor on the grid.

    Raises:
        OptionError: if there is no such method, or the measurement has seen no image.
    """
    if method not in METHODS:
        raise OptionError(f"method: given '{method}'; expected one of {', '.join(METHODS)}")
    if not measurement.images:
        raise OptionError("there are no ranges to choose: no image was measured")
    choice = METHODS[method]
    return ActivationRanges(
        grid=grid.name,
        method=method,
        tensors={name: choice(seen, grid) for name, seen in measurement.histograms.items()},
    )
