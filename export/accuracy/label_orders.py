"""Orders that a model's classes may be in, other than the bundle says.

shifted by one        a class for the background was counted, or was not
sorted as strings     0, 1, 10, 11, 2 ...: folders sorted by name
sorted by name        the labels in alphabetical order
reversed
as the answers tell   each answer stands for the class it is given to most often, learned on one
                      half of the images and tried on the other
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Classes", "learned_order", "usual_orders"]

Classes = NDArray[np.int32]
"""Class indices, one an image; -1 for an answer that is none."""

_LEAST_IMAGES = 4
"""Of each class, on average, that a learned order needs."""


def usual_orders(labels: Sequence[str], classes: int) -> Iterator[tuple[str, Classes]]:
    """Yield orders, each with its name: for each answer of the model the class that it means."""
    indices = np.arange(classes, dtype=np.int32)
    as_strings = np.array(sorted(range(classes), key=str), np.int32)
    orders = {
        "labels shifted by one": np.roll(indices, 1),
        "labels shifted by one, the other way": np.roll(indices, -1),
        "labels sorted as strings": as_strings,
        "labels sorted as numbers": np.argsort(as_strings).astype(np.int32),
        "labels in reverse": indices[::-1].copy(),
    }
    if labels:
        by_name = np.array(sorted(range(classes), key=lambda i: labels[i]), np.int32)
        orders["labels sorted by name"] = by_name
    seen = [indices]
    for name, order in orders.items():
        if not any(np.array_equal(order, other) for other in seen):
            seen.append(order)
            yield name, order


def learned_order(
    answers: Classes, truths: Classes, classes: int
) -> tuple[Classes, Classes] | None:
    """Return what order the answers tell, and the answers in an order they did not tell themselves.

    Every second image learns for the others, so that what comes out is no better for having been
    learned from.

    Args:
        answers: of the model.
        truths: what is right.
        classes: how many there are.

    Returns:
        The order learned from all images, and the answers put into the order that the other half
        tells; None where there are too few images.
    """
    if classes < 2 or len(truths) < _LEAST_IMAGES * classes:
        return None
    even = np.arange(len(truths)) % 2 == 0
    ordered = np.full_like(answers, -1)
    for half in (even, ~even):
        order = _learn(answers[~half], truths[~half], classes)
        ordered[half] = apply_order(order, answers[half])
    return _learn(answers, truths, classes), ordered


def apply_order(order: Classes, answers: Classes) -> Classes:
    """Return the classes that the answers mean."""
    return np.where(answers < 0, -1, order[answers]).astype(np.int32)


def _learn(answers: Classes, truths: Classes, classes: int) -> Classes:
    """Return for each answer a class, no class twice, the commonest pairs first."""
    given = answers >= 0
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (answers[given], truths[given]), 1)
    order = np.full(classes, -1, np.int32)
    for pair in np.argsort(-counts, axis=None, kind="stable"):
        answer, truth = divmod(int(pair), classes)
        if not counts[answer, truth]:
            break
        if order[answer] < 0 and truth not in order:
            order[answer] = truth
    left = [truth for truth in range(classes) if truth not in order]
    # Answers that were never given keep their own class where it is free.
    for unused in np.flatnonzero(order < 0).tolist():
        order[unused] = left.pop(left.index(unused) if unused in left else 0)
    return order
