"""The ways to choose a range from a histogram: how much to clip for how much finer steps.

    minmax       clips nothing
    percentile   clips the one value in 100,000 that lies farthest out, on each side
    entropy      keeps the most information: least Kullback-Leibler divergence, as TensorRT 10 did
    mse          least mean squared error between the values and their quantized form
    tails        the same, with errors of what is clipped counting CLIP_WEIGHT times

All work on bins as if every value stood at its bin's centre: a bin is at most an eighth of a uint8
step where nothing is clipped. Values of exactly zero cost nothing on any grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from calibration.observers import BINS, Histogram
from calibration.ranges import NARROWEST, Grid, Range
from calibration.squared_error import Errors, squared_error

__all__ = ["METHODS", "entropy", "minmax", "mse", "percentile", "tails"]

CLIPPED_SHARE = 1e-5
"""Of percentile: onnxruntime's default. The 1e-3 of older tools costs ResNet-50 points."""

CLIP_WEIGHT = 30.0
"""Of tails: errors of rounding cancel in the next convolution, those of clipping all point inwards
and add up. On ResNet-18 trained on photographs, mse loses 7 to 11 dB against minmax, and weights of
30 to 100 gain 0.3 to 0.8 dB; on 8x8 digits, where little is clipped, mse gains 0.5 to 1.2 dB."""

_KL_THRESHOLDS = 512
"""How many thresholds entropy tries: one in eight bins, half a percent of the range, at most."""

_COARSE = 2.0 ** -(np.arange(49) / 8)
"""Shares of the largest value that mse tries first: 1 down to 1/64 in steps of 9 %."""
_FINE = 2.0 ** (np.arange(-7, 8) / 64)
"""Factors around the best of them that it tries next, in steps of 1 %."""


def minmax(histogram: Histogram, grid: Grid) -> Range:
    """Return the exact extremes."""
    return _range(histogram, histogram.lowest, histogram.highest)


def percentile(histogram: Histogram, grid: Grid) -> Range:
    """Return the range that clips CLIPPED_SHARE of the values, on each side it reaches to."""
    total = int(histogram.counts.sum())
    if grid.symmetric:
        edge = _tail(histogram.magnitudes, total) * histogram.width
        return _range(histogram, -edge, edge)
    low = _tail(histogram.counts[BINS - 1 : 0 : -1], total)
    high = _tail(histogram.counts[BINS:], total)
    return _range(histogram, -low * histogram.width, high * histogram.width)


def entropy(histogram: Histogram, grid: Grid) -> Range:
    """Return the range [-t, t] whose quantized distribution diverges least from the true one."""
    signed = histogram.lowest < 0
    levels = (grid.highest - grid.lowest + 1) // 2 if signed or grid.symmetric else grid.highest + 1
    edge = _least_divergence(histogram.magnitudes, max(levels, 128)) * histogram.width
    return _range(histogram, -edge, edge)


def mse(histogram: Histogram, grid: Grid) -> Range:
    """Return the range with the least mean squared quantization error."""
    return _least_error(histogram, grid, clip_weight=1.0)


def tails(histogram: Histogram, grid: Grid) -> Range:
    """Return the range of the least squared error, in which clipping counts CLIP_WEIGHT times."""
    return _least_error(histogram, grid, clip_weight=CLIP_WEIGHT)


METHODS: Mapping[str, Callable[[Histogram, Grid], Range]] = MappingProxyType(
    {
        "minmax": minmax,
        "percentile": percentile,
        "entropy": entropy,
        "mse": mse,
        "tails": tails,
    }
)
"""By the name a person gives them."""


def _range(histogram: Histogram, low: float, high: float) -> Range:
    """Return the range, no wider than the values seen, with zero in it."""
    low = min(0.0, max(low, histogram.lowest))
    high = max(0.0, min(high, histogram.highest))
    # A tensor that is always zero is exact on any grid; it only needs some scale.
    return Range(low=low, high=high) if high - low >= NARROWEST else Range(low=0.0, high=1.0)


def _tail(counts: NDArray[np.int64], total: int) -> int:
    """Return the bin, counted from zero, beyond which CLIPPED_SHARE of all values lie."""
    beyond = np.cumsum(counts[::-1])[::-1]  # values in this bin and farther out
    return int(np.count_nonzero(beyond > CLIPPED_SHARE * total))


def _least_divergence(magnitudes: NDArray[np.int64], levels: int) -> int:
    """Return the number of bins that hold the values not clipped, in the best of cases.

    p is the bins below a threshold, the last of which also holds what is clipped. In q, each of
    `levels` equal stretches of them is one quantized level, whose mass spreads evenly over its
    non-empty bins. Every sum over bins is a difference of cumulative sums, so all thresholds are
    tried at once.
    """
    bins = magnitudes.astype(np.float64)
    bins[0] = bins[1]  # zeros are exact whatever the threshold; TensorRT's calibrator did the same
    filled = np.flatnonzero(bins) + 1
    # Clipped values need a last bin that is not empty, or the divergence is infinite.
    thresholds = filled[filled >= levels]
    if not thresholds.size:
        return int(filled[-1]) if filled.size else 1
    thresholds = thresholds[:: -(-thresholds.size // _KL_THRESHOLDS)]
    mass, count = _cumulative(bins), _cumulative(bins > 0)
    edges = thresholds[:, None] * np.arange(levels + 1) // levels
    level_mass = np.diff(mass[edges], axis=1)
    level_count = np.diff(count[edges], axis=1)
    log_q = np.log(np.where(level_mass > 0, level_mass / np.maximum(level_count, 1), 1.0))
    last = bins[thresholds - 1]
    clipped = mass[-1] - mass[thresholds]
    p_log_p = _cumulative(_x_log_x(bins))[thresholds] - _x_log_x(last) + _x_log_x(last + clipped)
    p_log_q = (level_mass * log_q).sum(1) + clipped * log_q[:, -1]
    divergence = (p_log_p - p_log_q) / mass[-1] + np.log(mass[thresholds] / mass[-1])
    return int(thresholds[divergence.argmin()])


def _cumulative(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _x_log_x(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x * np.log(np.where(x > 0, x, 1.0))


def _least_error(histogram: Histogram, grid: Grid, clip_weight: float) -> Range:
    whole = minmax(histogram, grid)
    error = squared_error(histogram, grid, clip_weight)
    low, high = whole.low, whole.high
    for factors in (_COARSE, _FINE):
        low, high = _least(error, low * factors, high * factors)
    if grid.symmetric:
        edge = max(-low, high)
        return _range(histogram, -edge, edge)
    if low < 0 < high:
        # The tails of a signed tensor differ: each end is moved by itself, inwards and outwards.
        for factors in (_COARSE[:17], _FINE):
            low, high = _least(error, low * factors, np.full(factors.size, high))
            low, high = _least(error, np.full(factors.size, low), high * factors)
    return _range(histogram, low, high)


def _least(
    errors: Errors, lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the low and high of the least error; the first of equals."""
    best = int(errors(lows, highs).argmin())
    return float(lows[best]), float(highs[best])
