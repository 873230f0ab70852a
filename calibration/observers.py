"""Histogram: sees a tensor batch by batch in constant memory, and states what its values do.

A histogram is a row of counts over a grid of 2 * BINS - 1 bins that covers -2^k < x < 2^k:

    bin of x      j = trunc(x * BINS / 2^k)            the middle bin, j = 0, is twice as wide
    doubling      trunc(trunc(y) / 2) = trunc(y / 2)   so bin j of grid k + 1 is the exact sum of
                                                       the bins 2j and 2j +- 1 of grid k

k is the smallest that covers every value seen. Scaling a float32 by a power of two and cutting off
its fraction are exact, and counts are integers: the same values give the same histogram, bit for
bit, however they were split into batches, ordered, or merged from several histograms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "Histogram"]

BINS = 4096
"""Bins a side: 8 to 16 for each step of uint8 when nothing is clipped (TensorRT uses 2048)."""

_SMALLEST_EXPONENT = -64
"""Of a tensor of zeros; also keeps the scale, BINS / 2^k, a finite float32."""

# Few enough that their indices, 1 MiB, stay in a second-level cache between the three passes over
# them; with fewer, threads that count different tensors spend their time on taking turns.
_PIECE = 1 << 17


@dataclass(kw_only=True, eq=False)
class Histogram:
    """The distribution of all values seen so far, with their exact extremes."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2 * BINS, np.int64))
    """int64 [2 * BINS]; bin j lies at index j + BINS, and index 0 is unused."""
    exponent: int = _SMALLEST_EXPONENT
    """k: every value seen lies between -2^k and 2^k."""
    lowest: float = math.inf
    """Exact minimum of the values seen."""
    highest: float = -math.inf
    """Exact maximum of the values seen."""

    def see(self, values: NDArray[np.float32]) -> None:
        """Count every value of an array of any shape; an empty one changes nothing.

        Raises:
            ValueError: if a value is NaN or infinite; the histogram is then as it was.
        """
        flat = values.reshape(-1)
        if not flat.size:
            return
        # NaN wins both comparisons, so the extremes also tell whether all values are finite.
        low, high = float(flat.min()), float(flat.max())
        if not math.isfinite(low) or not math.isfinite(high):
            raise ValueError("NaN" if math.isnan(low) else "infinity")
        largest = max(-low, high)
        self._cover(math.frexp(largest)[1] if largest else _SMALLEST_EXPONENT)
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        self._count(flat, signed=low < 0)

    def merge(self, other: Histogram) -> None:
        """Add everything the other histogram has seen; the other one is not changed."""
        self._cover(other.exponent)
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)
        self.counts += _double(other.counts, self.exponent - other.exponent)

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self.exponent) / BINS

    @property
    def magnitudes(self) -> NDArray[np.int64]:
        """int64 [BINS]: how many values have an absolute value in bin 0, 1, 2, ..."""
        folded = self.counts[BINS:].copy()
        folded[1:] += self.counts[BINS - 1 : 0 : -1]
        return folded

    def _cover(self, exponent: int) -> None:
        if exponent > self.exponent:
            self.counts = _double(self.counts, exponent - self.exponent)
            self.exponent = exponent

    def _count(self, flat: NDArray[np.float32], *, signed: bool) -> None:
        scale = np.float32(math.ldexp(BINS, -self.exponent))
        buffer = np.empty(min(flat.size, _PIECE), np.intp)
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE]
            bins = buffer[: piece.size]
            np.multiply(piece, scale, out=bins, casting="unsafe")  # to an integer: cuts off
            if signed:
                np.add(bins, BINS, out=bins)
                self.counts += np.bincount(bins, minlength=2 * BINS)
            else:
                self.counts[BINS:] += np.bincount(bins, minlength=BINS)


def _double(counts: NDArray[np.int64], times: int) -> NDArray[np.int64]:
    """Return the counts over a grid that covers 2^times the range."""
    # After as many doublings as a bin's index has bits, everything lies in the middle bin.
    for _ in range(min(times, BINS.bit_length())):
        positive = counts[BINS:].reshape(-1, 2).sum(1)
        negative = counts[BINS:0:-1].copy()
        negative[0] = 0  # the middle bin is counted among the positive ones
        counts = np.zeros_like(counts)
        counts[BINS : BINS + BINS // 2] = positive
        counts[BINS : BINS // 2 : -1] += negative.reshape(-1, 2).sum(1)
    return counts
