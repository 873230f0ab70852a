"""Tries changes on labelled images, each beside the same base and on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.take_evenly import take_evenly
from export.accuracy.gallery import read_planes, statistics
from export.accuracy.label_orders import Classes, apply_order
from export.accuracy.looks import UNSEEN, Look, Looks
from export.accuracy.plan_changes import Statistics
from export.accuracy.plan_treatments import MODULE, Treatment, plan_orders, plan_views
from export.accuracy.result import Cause, Trial
from export.verdict.gates import drop_interval
from runtime.errors import ImageError
from runtime.evaluation.statistics import p_worse, wilson
from runtime.share import Share
from runtime.terminal import Screen

__all__ = ["Case"]

SAMPLE = 96
"""Images that everything is tried on. A change shows that sets 15 right and none wrong."""
KEPT = 5
"""Views at most that are tried on all images."""
_AS_GOOD = 0.05
"""Two changes are told apart by a p-value below this."""
_CERTAINLY_WORSE = 0.01


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model, and images whose classes are known."""

    labels: tuple[str, ...]
    classes: int
    truths: Classes
    looks: Looks
    fixed_size: bool
    """The model takes images of one size."""
    screen: Screen

    def measure_own(self, base: Treatment) -> Statistics:
        """Return the mean and standard deviation of the sample's values.

        Raises:
            ImageError: if no image of the sample can be read.
        """
        geometry = base.look.view.geometry
        paths = [self.looks.paths[index] for index in self._sample()]
        reasons: list[str] = []
        seen = [
            planes[geometry]
            for _, planes in read_planes(
                paths,
                [geometry],
                self.looks.spec,
                SAMPLE,
                lambda _, error: reasons.append(str(error)),
            )
        ]
        if not seen:
            raise ImageError(f"none of {len(paths)} images could be read: {reasons[0]}")
        return statistics(np.concatenate(seen))

    def try_all(
        self, base: Treatment, own: Statistics, title: str
    ) -> list[tuple[Trial, Treatment]]:
        """Return every change that is worth a try on top of the base, in the order of the plan."""
        treatments = plan_views(
            base, own, fixed_size=self.fixed_size, by_batch=MODULE in self.looks.answerers
        )
        looks = {base.look: None, **{each.look: None for each in treatments}}
        sample = self._sample()
        rest = sorted(set(range(len(self.truths))) - set(sample))
        batches = self.looks.batches(len(sample)) + self.looks.batches(len(rest))
        with self.screen.progress(title, batches) as advance:
            self.looks.look(tuple(looks), sample, advance)
            kept = self._promising(base, treatments)
            self.looks.look([base.look, *kept], rest, advance)
        answers = self.looks.answers[base.look]
        treatments += plan_orders(base, self.labels, self.classes, answers, self.truths)
        count = len(treatments)
        return [(self._compare(base, each, count), each) for each in treatments]

    def choose(self, tried: Sequence[tuple[Trial, Treatment]]) -> tuple[Cause, Treatment] | None:
        """Return the best of the changes that help, or None if none does."""
        helping = [each for each in tried if each[0].helps]
        if not helping:
            return None
        best = self._right(max(helping, key=lambda each: each[0].points)[1])
        as_good = [each for each in helping if not self._is_worse(each[1], best)]
        trial, treatment = max(as_good, key=lambda each: (not each[1].measured, each[0].points))
        others = tuple(other.change for other, _ in as_good if other is not trial)
        return Cause(trial=trial, as_good=others), treatment

    def top1(self, treatment: Treatment) -> Share:
        """Return the share of right answers, of the images that were looked at."""
        seen = self._seen(treatment)
        return wilson(int(self._right(treatment)[seen].sum()), int(seen.sum()))

    def commonest(self, treatment: Treatment) -> tuple[int, float]:
        """Return the class that is answered most often, and to what share of the images."""
        answers = self._answers(treatment)[self._seen(treatment)]
        counts = np.bincount(np.maximum(answers, 0), minlength=self.classes)
        return int(counts.argmax()), float(counts.max() / max(1, len(answers)))

    def _sample(self) -> list[int]:
        return take_evenly(range(len(self.truths)), SAMPLE)

    def _promising(self, base: Treatment, treatments: Sequence[Treatment]) -> list[Look]:
        """Return the views that the sample does not rule out, the best first."""
        right = {each: self._right(each) for each in (base, *treatments)}
        ranked = sorted(treatments, key=lambda each: -int(right[each].sum()))
        best = right[ranked[0]]
        kept = [each for each in ranked if not self._is_worse(each, best, _CERTAINLY_WORSE)]
        return [each.look for each in kept[:KEPT]]

    def _is_worse(
        self, treatment: Treatment, best: NDArray[np.bool_], level: float = _AS_GOOD
    ) -> bool:
        right, seen = self._right(treatment), self._seen(treatment)
        lost, won = int((best & ~right)[seen].sum()), int((~best & right)[seen].sum())
        return p_worse(lost, won) < level

    def _compare(self, base: Treatment, treatment: Treatment, tried: int) -> Trial:
        seen = self._seen(base) & self._seen(treatment)
        before, after = self._right(base)[seen], self._right(treatment)[seen]
        won, lost = int((after & ~before).sum()), int((before & ~after).sum())
        points, low, high = drop_interval(int(seen.sum()), won, lost)
        return Trial(
            change=treatment.name,
            cure=treatment.cure,
            top1=wilson(int(after.sum()), len(after)),
            before=wilson(int(before.sum()), len(before)),
            became_right=won,
            became_wrong=lost,
            points=points,
            low=low,
            high=high,
            p=min(1.0, tried * p_worse(won, lost)),
        )

    def _answers(self, treatment: Treatment) -> Classes:
        if treatment.learned is not None:
            return treatment.learned
        answers = self.looks.answers[treatment.look]
        return answers if treatment.order is None else apply_order(treatment.order, answers)

    def _right(self, treatment: Treatment) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = self._answers(treatment) == self.truths
        return right

    def _seen(self, treatment: Treatment) -> NDArray[np.bool_]:
        seen: NDArray[np.bool_] = self.looks.answers[treatment.look] != UNSEEN
        return seen
