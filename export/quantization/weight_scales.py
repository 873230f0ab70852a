"""How large one step of a channel's int8 weights is.

Weights are symmetric and every output channel has a scale of its own, so there is one choice for
each channel: how much of its largest weights to clip for a finer step of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["WeightScales", "clip_nothing", "least_error"]

WeightScales: TypeAlias = Callable[[NDArray[np.float64], int], NDArray[np.float64]]
"""(weights [channels, weights of each], largest integer) -> scales [channels], not negative."""

_SHARES = np.arange(100, 69, -1) / 100
"""Of the largest weight: what least_error tries. Below, clipping costs more than it gains."""


def clip_nothing(weights: NDArray[np.float64], largest_integer: int) -> NDArray[np.float64]:
    """Return the scales at which the largest weight of a channel is the largest integer."""
    scales: NDArray[np.float64] = np.abs(weights).max(axis=1, initial=0.0) / largest_integer
    return scales


def least_error(weights: NDArray[np.float64], largest_integer: int) -> NDArray[np.float64]:
    """Return the scales of the least squared error between weights and their integers."""
    whole = clip_nothing(weights, largest_integer)
    best, scales = np.full(len(weights), np.inf), whole.copy()
    for share in _SHARES:
        scale = share * np.where(whole > 0, whole, 1.0)
        integers = np.clip(np.rint(weights / scale[:, None]), -largest_integer, largest_integer)
        error = np.square(integers * scale[:, None] - weights).sum(axis=1)
        better = error < best
        best[better], scales[better] = error[better], scale[better]
    return np.where(whole > 0, scales, 0.0)
