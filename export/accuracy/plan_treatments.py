"""Treatments of an image that are worth a try: other views of it, other meanings of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from export.accuracy.label_orders import Classes, learned_order, usual_orders
from export.accuracy.looks import UNSEEN, Look
from export.accuracy.plan_changes import Statistics, plan_changes

__all__ = ["MODULE", "Treatment", "plan_orders", "plan_views"]

MODULE = "module"
"""The answerer that normalises with the statistics of each batch."""

_SHOWN_LABELS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Treatment:
    """What is done with an image to get its class."""

    kind: str = ""
    """What is wrong if it helps, as of `Change`."""
    name: str = ""
    cure: str = ""
    look: Look
    order: Classes | None = None
    """For each answer of the model the class it means; None if they are the same."""
    learned: Classes | None = None
    """The classes of all images, where the order was learned from some for the others."""
    measured: bool = False
    """It rests on numbers of these very images; another one that is as good goes before it."""


def plan_views(
    base: Treatment, own: Statistics, *, fixed_size: bool, by_batch: bool
) -> list[Treatment]:
    """Return other ways to see an image, each one change on top of the base.

    Args:
        base: what is changed.
        own: of the images.
        fixed_size: the model takes images of one size.
        by_batch: there is an answerer MODULE.
    """
    treatments = [
        Treatment(
            kind=change.kind,
            name=change.name,
            cure=change.cure,
            look=replace(base.look, view=change.view),
            order=base.order,
            measured=change.measured,
        )
        for change in plan_changes(base.look.view, own, fixed_size=fixed_size)
    ]
    if by_batch and not base.look.answerer:
        treatments.append(
            Treatment(
                name="BatchNorm by the statistics of each batch",
                cure="measure the BatchNorm statistics anew on training images, then export again",
                look=replace(base.look, answerer=MODULE),
                order=base.order,
            )
        )
    return treatments


def plan_orders(
    base: Treatment, labels: Sequence[str], classes: int, answers: Classes, truths: Classes
) -> Iterator[Treatment]:
    """Yield other meanings of the answers: orders in which the labels may have been meant.

    Args:
        base: what is changed; nothing is yielded if its order is another one already.
        labels: of the model; none where they are not known.
        classes: how many the model has.
        answers: [images], of the base; UNSEEN where there is none.
        truths: [images], the right classes.
    """
    if base.order is not None:
        return
    for name, order in usual_orders(labels, classes):
        yield Treatment(name=name, cure=_relabel(labels, order), look=base.look, order=order)
    seen = np.flatnonzero(answers != UNSEEN)
    found = learned_order(answers[seen], truths[seen], classes)
    if found is not None:
        learned = np.full_like(answers, UNSEEN)
        learned[seen] = found[1]
        yield Treatment(
            name="labels in the order the answers tell",
            cure=_relabel(labels, found[0]),
            look=base.look,
            order=found[0],
            learned=learned,
            measured=True,
        )


def _relabel(labels: Sequence[str], order: Classes) -> str:
    if not labels:
        return "label the data, or the model, by the other order"
    lines = [labels[index] for index in order[:_SHOWN_LABELS]]
    more = " ..." if len(order) > _SHOWN_LABELS else ""
    return f"export again with --labels, a file of the lines: {', '.join(lines)}{more}"
