"""Finds out why a model is less accurate on labelled images than it should be.

    1  every change is tried on a sample; each image is decoded once for all of them
    2  those that the sample does not rule out are tried on the other images, too
    3  of those that help beyond accident the best is a cause; all others are tried on top of it

A change helps if more images become right than wrong, by McNemar's test, its p-value multiplied by
the number of changes tried. What does not pass it is not named, however good it looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from export.accuracy.batch_statistics import BatchStatistics
from export.accuracy.case import Case
from export.accuracy.looks import Answerer, Look, Looks
from export.accuracy.normalised_runner import NormalisedRunner
from export.accuracy.plan_treatments import MODULE, Treatment
from export.accuracy.result import Cause, Diagnosis, Trial
from export.accuracy.view import View
from runtime.bundle import Bundle
from runtime.evaluation.dataset import Dataset
from runtime.evaluation.match_labels import match_labels
from runtime.feed import check_classifier
from runtime.manifest import Manifest
from runtime.terminal import Screen

__all__ = ["diagnose_accuracy"]

MOST_CAUSES = 3

_MONOTONOUS = 0.9
"""Share of images of one answer that is worth telling, where the images' own classes differ."""
_FEWEST_IMAGES = 15
"""With fewer, not even a change that sets all of them right is beyond accident."""


def diagnose_accuracy(
    bundle: Bundle,
    dataset: Dataset,
    labels: Sequence[str],
    module: nn.Module | None,
    screen: Screen,
) -> Diagnosis:
    """Return what makes the bundle more accurate on the images.

    Args:
        bundle: of a classifier; its variant "fp32" is looked at, the others inherit its faults.
        dataset: labelled images.
        labels: of the model's classes.
        module: what the bundle was exported from, to try BatchNorm otherwise; None if it is not
            at hand.
        screen: is told what is under way.

    Raises:
        OptionError: if the model is no classifier of images, or lacks a label of the data.
        BundleError: if the model was altered.
        BackendError: if it cannot run here.
        ImageError: if no image can be read.
    """
    manifest = bundle.manifest
    check_classifier(bundle.variant("fp32"), manifest)
    indices, _ = match_labels(dataset.labels(), labels, manifest.model.classes)
    taken = bundle.variant("fp32").input.sizes
    case = Case(
        labels=tuple(labels),
        classes=manifest.model.classes,
        truths=np.array([indices[example.label] for example in dataset.examples], np.int32),
        looks=_open_looks(bundle, dataset, module, screen),
        fixed_size=sum(size is not None for size in taken[1:]) > 1,
        screen=screen,
    )
    start = Treatment(look=Look(view=View(spec=manifest.image)))
    trials, causes, cured = _find_causes(case, start)
    return Diagnosis(
        bundle=str(bundle.folder),
        model=manifest.model.name,
        data=str(dataset.source),
        images=len(case.truths) - len(case.looks.unreadable),
        classes=case.classes,
        top1=case.top1(start),
        top1_cured=case.top1(cured),
        causes=tuple(causes),
        trials=tuple(sorted(trials, key=lambda trial: -trial.points)),
        notes=tuple(_notes(case, start, manifest)),
    )


def _find_causes(case: Case, start: Treatment) -> tuple[list[Trial], list[Cause], Treatment]:
    """Return what was tried first, the causes, and what is done when all are mended."""
    base, own = start, case.measure_own(start)
    trials: list[Trial] = []
    causes: list[Cause] = []
    while len(causes) < MOST_CAUSES and base.learned is None:
        tried = case.try_all(base, own, f"changes, round {len(causes) + 1}")
        trials = trials or [trial for trial, _ in tried]
        found = case.choose(tried)
        if found is None:
            break
        cause, base = found
        causes.append(cause)
    return trials, causes, base


def _open_looks(
    bundle: Bundle, dataset: Dataset, module: nn.Module | None, screen: Screen
) -> Looks:
    answerers: dict[str, Answerer] = {"": NormalisedRunner(bundle)}
    if module is not None and (by_batch := BatchStatistics(module)).applies:
        answerers[MODULE] = by_batch
    return Looks(
        paths=[example.path for example in dataset.examples],
        spec=bundle.manifest.image,
        answerers=answerers,
        warn=screen.warn,
    )


def _notes(case: Case, start: Treatment, manifest: Manifest) -> Iterator[str]:
    if manifest.weights.origin == "random":
        yield "the weights are random: this model was never trained"
    images = len(case.truths) - len(case.looks.unreadable)
    if images < _FEWEST_IMAGES:
        yield f"{images} images cannot prove any change; give {_FEWEST_IMAGES} or more"
    shown = len(set(case.truths.tolist()))
    if shown == 1:
        yield "all images are of one class: whether classes are mixed up, they cannot tell"
    index, share = case.commonest(start)
    if shown > 1 and share > _MONOTONOUS:
        label = case.labels[index] if case.labels else str(index)
        yield f"the model answers '{label}' to {share:.0%} of the images"
    top1 = case.top1(start)
    if top1.low <= 1 / case.classes <= top1.high and case.classes > 1:
        yield f"as it is, it is no better than guessing one of {case.classes} classes"
