"""Ranks the classes of each image by probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BackendError, OptionError
from runtime.runner import Logits

__all__ = ["RankedClass", "classify"]


@dataclass(frozen=True, kw_only=True)
class RankedClass:
    """One of the most probable classes of an image."""

    label: str
    """The class index as text where the model has no labels."""
    index: int
    probability: float
    """0 to 1, among all classes."""


def classify(
    logits: Logits, labels: Sequence[str] = (), top: int = 5
) -> list[tuple[RankedClass, ...]]:
    """Return the `top` most probable classes of each image, most probable first.

    Classes of equal logits stand in the order of their index. A model with fewer than `top`
    classes yields all of them.

    Args:
        logits: [batch, classes], any float dtype.
        labels: one per class, or none.
        top: how many classes of each image, at least 1.

    Raises:
        OptionError: if `top` is less than 1, or there are labels but not one per class.
        BackendError: if a logit is NaN or infinite: no ranking of such a row means anything.
    """
    classes = logits.shape[1]
    if top < 1:
        raise OptionError(f"top: given {top}; expected at least 1")
    if labels and len(labels) != classes:
        raise OptionError(f"labels: given {len(labels)}; expected {classes}, one per class")
    broken = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if broken.size:
        raise BackendError(
            f"the logits of image {broken[0]} hold NaN or infinity; expected finite numbers; "
            "run `python -m runtime verify` on the bundle"
        )
    # Ranked by logit, not by probability: where softmax rounds two to the same they still differ.
    order = np.argsort(-logits, axis=1, kind="stable")[:, :top]
    ranked = np.take_along_axis(_softmax(logits), order, axis=1)
    return [
        tuple(
            RankedClass(label=labels[i] if labels else str(i), index=i, probability=p)
            for i, p in zip(indices, probabilities, strict=True)
        )
        for indices, probabilities in zip(order.tolist(), ranked.tolist(), strict=True)
    ]


def _softmax(logits: Logits) -> NDArray[np.float64]:
    """Return the softmax of each row in float64; no logit is too large for it."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    total: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return total
