"""Fits what quantization does to logits to the features that are left: how heads are refitted.

    y logits of the float graph, q features of the quantized one, of the same images
    e = y - (W q + b) what the quantization did to the logits

    D and d minimise  sum |e - D q - d|^2 + strength |D|^2;  a head W + D, b + d makes less noise

A part of the noise of the features goes with the features themselves: clipped ones are always too
small, by an amount that others tell. How strongly D is held to nothing is what predicts images best
that were left out of the fit, one after another; ridge regression has that in closed form. If no
strength beats leaving the head alone, it is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST_IMAGES", "ErrorFit", "Features", "fit_errors"]

Features: TypeAlias = NDArray[np.floating[Any]]
"""What a head reads: [images, features], float32 or float16."""

FEWEST_IMAGES = 128
"""Of fewer, a fit may cost a few tenths of a decibel on other images; of 256 it never did. With
fewer calibration images heads are left alone."""

_STRENGTHS = np.logspace(-8, 2, 41)
"""That are tried, as shares of the largest eigenvalue."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorFit:
    """What features tell of errors; nothing where no fit predicts anything."""

    change: NDArray[np.float64]
    """D [classes, features]."""
    shift: NDArray[np.float64]
    """d [classes]."""
    left_out: NDArray[np.float64]
    """What remains of the errors of each image when all the others are fitted to, [images,
    classes]."""


def fit_errors(errors: NDArray[np.float64], features: Features) -> ErrorFit:
    """Return the fit of errors [images, classes] to the features of the same images."""
    found = features.astype(np.float64)
    centre, shift = found.mean(axis=0), errors.mean(axis=0)
    deviations, rest = found - centre, errors - shift
    eigenvalues, basis = np.linalg.eigh(deviations @ deviations.T)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    projected = basis.T @ rest
    shares = np.square(basis)
    left_out, best = errors, np.inf
    for strength in _STRENGTHS * max(float(eigenvalues.max()), np.finfo(float).tiny):
        shrunk = eigenvalues / (eigenvalues + strength)
        # An image's own share in its prediction; without it the error grows by 1 / (1 - share).
        share = shares @ shrunk + 1 / len(errors)
        remaining = (rest - basis @ (shrunk[:, None] * projected)) / (1 - share)[:, None]
        if np.square(remaining).sum() < np.square(left_out).sum():
            left_out, best = remaining, strength
    if left_out is errors:
        nothing = np.zeros((errors.shape[1], found.shape[1]))
        return ErrorFit(change=nothing, shift=np.zeros_like(shift), left_out=errors)
    inverse = basis @ (projected / (eigenvalues + best)[:, None])
    change = (deviations.T @ inverse).T
    return ErrorFit(change=change, shift=shift - change @ centre, left_out=left_out)
