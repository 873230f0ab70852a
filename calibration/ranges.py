"""Range and ActivationRanges: which values each tensor of a graph may take once it is quantized."""

from __future__ import annotations

import math
from dataclasses import dataclass

from runtime.errors import OptionError

__all__ = ["GRIDS", "INT8", "NARROWEST", "UINT8", "ActivationRanges", "Grid", "Range"]

NARROWEST = 2.0**-100
"""Least width of a range: its scales are normal float32 numbers, which no backend flushes to 0."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """The values from `low` to `high`; zero, which every quantized tensor must hold, among them.

    Raises:
        OptionError: if zero lies outside, it is narrower than NARROWEST, or an end is not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or not self.low <= 0 <= self.high or self.high - self.low < NARROWEST:
            raise OptionError(
                f"range: given {self.low} to {self.high}; expected finite low <= 0 <= high, "
                "not both zero"
            )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """An integer type that activations are rounded to, as a target uses it.

    real value = scale * (integer - zero point)
    """

    name: str
    lowest: int
    highest: int
    """Smallest and largest integer that is used."""
    symmetric: bool
    """The zero point is always 0."""

    def fit(self, values: Range) -> tuple[float, int]:
        """Return the scale and the zero point with which the integers span the range."""
        if self.symmetric:
            return max(-values.low, values.high) / self.highest, 0
        scale = (values.high - values.low) / (self.highest - self.lowest)
        return scale, self.lowest + round(-values.low / scale)


# 127 on both sides: -128 has no positive counterpart, and TensorRT's scale is amax / 127.
INT8 = Grid(name="int8", lowest=-127, highest=127, symmetric=True)
"""What TensorRT takes: one scale, zero point 0."""
UINT8 = Grid(name="uint8", lowest=0, highest=255, symmetric=False)
"""What ONNX Runtime's CPU kernels take: zero point 0 after a ReLU, so that it is absorbed."""

GRIDS = (INT8, UINT8)


@dataclass(frozen=True, kw_only=True)
class ActivationRanges:
    """One range a tensor, chosen for one grid."""

    grid: str
    """"int8" or "uint8"."""
    method: str
    tensors: dict[str, Range]
    """By the name of the tensor in the graph."""

    def __getitem__(self, tensor: str) -> Range:
        """Return the range of the named tensor.

        Raises:
            OptionError: if it was not measured.
        """
        try:
            return self.tensors[tensor]
        except KeyError:
            raise OptionError(
                f"no range was measured for the tensor '{tensor}'; calibrate this very graph again"
            ) from None
