"""Sums the squared errors that the values of a histogram have on a grid, for many ranges at once.

    sum_q |x - q s|^2  =  sum x^2  -  2 s sum_q q sum x  +  s^2 sum_q q^2 n

over the n magnitudes x that go to the multiple q of the scale s. They are those below (q + 1/2) s
less those below (q - 1/2) s: cumulative sums at some hundred edges are enough, and none of the
thousands of bins is looked at again. Each magnitude stands at its bin's centre. Zero costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from calibration.observers import BINS, Histogram
from calibration.ranges import Grid

__all__ = ["Errors", "squared_error"]

Errors: TypeAlias = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""(lowest values of some ranges, highest values) -> what each range costs, in squared bins."""

_Sums: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Of the magnitudes in the first 0, 1, 2, ... bins: how many, their sum, that of their squares."""


def squared_error(histogram: Histogram, grid: Grid, clip_weight: float) -> Errors:
    """Return a function of ranges that gives the summed squared error of each.

    Args:
        histogram: of the values.
        grid: that a range is spread over.
        clip_weight: how many times errors of what is clipped count.
    """
    below, above = histogram.counts[BINS:0:-1], histogram.counts[BINS:]
    sides = [_sums(side) for side in ([histogram.magnitudes] if grid.symmetric else [below, above])]

    def errors(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> NDArray[np.float64]:
        span = np.maximum(-lows, highs) if grid.symmetric else highs - lows
        steps = grid.highest if grid.symmetric else grid.highest - grid.lowest
        scales = span / histogram.width / steps
        zeros = np.rint(-lows / histogram.width / scales)
        tops = [np.full(lows.size, steps)] if grid.symmetric else [zeros, steps - zeros]
        found = np.zeros(lows.size)
        for sums, top in zip(sides, tops, strict=True):
            found += _side_error(sums, top, scales, clip_weight)
        return found

    return errors


def _sums(magnitudes: NDArray[np.int64]) -> _Sums:
    x = np.arange(len(magnitudes)) + 0.5
    # Bin 0 is centred on zero, or holds the smallest values of all.
    counts = np.where(x < 1, 0, magnitudes)
    number, total, squares = (
        np.concatenate([[0.0], np.cumsum(each, dtype=np.float64)])
        for each in (counts, counts * x, counts * x * x)
    )
    return number, total, squares


def _side_error(
    sums: _Sums, tops: NDArray[Any], scales: NDArray[np.float64], clip_weight: float
) -> NDArray[np.float64]:
    """Return the error of magnitudes that go to the multiples 0 to top of a scale, for each scale.

    Args:
        sums: of the magnitudes, in bins.
        tops: the largest multiples; what lies above (top + 1/2) s is clipped.
        scales: s, in bins.
        clip_weight: how many times errors of what is clipped count.
    """
    number, total, squares = sums
    multiples = np.arange(tops.max())
    edges = _bins_below((multiples + 0.5) * scales[:, None], len(number))
    edges[multiples >= tops[:, None]] = 0
    ends = _bins_below((tops + 0.5) * scales, len(number))
    products = tops * total[ends] - total[edges].sum(axis=1)
    powers = tops**2 * number[ends] - (number[edges] * (2 * multiples + 1)).sum(axis=1)
    kept = squares[ends] - 2 * scales * products + scales**2 * powers
    largest = tops * scales
    beyond = [each[-1] - each[ends] for each in sums]
    clipped = beyond[2] - 2 * largest * beyond[1] + largest**2 * beyond[0]
    errors: NDArray[np.float64] = kept + clip_weight * clipped
    return errors


def _bins_below(edges: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Return how many bins have their centre below each edge; `most` - 1 at most."""
    return np.minimum(np.ceil(edges - 0.5), most - 1).astype(np.intp)
