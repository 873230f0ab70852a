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

_SHARES = np.arange(100, 79, -1) / 100
"""Of the largest weight: what least_error tries. Below, clipping costs more than it gains."""

_PIECE = 1 << 15
"""Weights that are tried at once: with what is computed of them, they stay in a fast cache."""


def clip_nothing(weights: NDArray[np.float64], largest_integer: int) -> NDArray[np.float64]:
    """Return the scales at which the largest weight of a channel is the largest integer."""
    scales: NDArray[np.float64] = np.abs(weights).max(axis=1, initial=0.0) / largest_integer
    return scales


def least_error(weights: NDArray[np.float64], largest_integer: int) -> NDArray[np.float64]:
    """Return the scales of the least squared error between weights and their integers."""
    whole = clip_nothing(weights, largest_integer)
    shares = np.ones(len(weights))
    rows = max(1, _PIECE // max(1, weights.shape[1]))
    for start in range(0, len(weights), rows):
        some = slice(start, start + rows)
        steps = weights[some] / np.where(whole[some] > 0, whole[some], 1.0)[:, None]
        shares[some] = _best_shares(steps.astype(np.float32), largest_integer)
    return whole * shares


def _best_shares(steps: NDArray[np.float32], largest_integer: int) -> NDArray[np.float64]:
    """Return how much of each row's largest weight to keep, given the weights in steps of all."""
    best, shares = np.full(len(steps), np.inf), np.ones(len(steps))
    for share in _SHARES:
        finer = steps * np.float32(1 / share)
        error = np.rint(finer)
        np.clip(error, -largest_integer, largest_integer, out=error)
        error -= finer
        noise = share**2 * np.einsum("ij,ij->i", error, error)
        better = noise < best
        best[better], shares[better] = noise[better], share
    return shares
