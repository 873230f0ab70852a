"""Summarizes answers: accuracy, calibration, confusion, and what changed between variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.evaluation.answers import Answers
from runtime.evaluation.dataset import Dataset
from runtime.evaluation.document import (
    SCHEMA_VERSION,
    Answer,
    Change,
    ClassResult,
    Comparison,
    DataInfo,
    Evaluation,
    Failure,
    VariantResult,
)
from runtime.evaluation.statistics import calibration_bins, calibration_error, p_worse, wilson
from runtime.installed_tools import installed_tools

__all__ = ["Subject", "summarize"]

_BASELINE = "fp32"
_FEW = 100
"""Images below which an accuracy's interval is wider than 20 points in the middle."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What was evaluated, on what."""

    bundle: Bundle
    dataset: Dataset
    labels: tuple[str, ...]
    """One per class."""
    labels_as: str
    truths: NDArray[np.int32]
    """[images], the true class of each."""
    runners: dict[str, str]
    """By variant or engine: what ran it."""


def summarize(subject: Subject, answers: Answers, key: str) -> Evaluation:
    """Return what the answers say."""
    read = np.ones(len(subject.truths), np.bool_)
    read[list(answers.errors)] = False
    truths = subject.truths[read]
    classes = {name: given[read] for name, given in answers.classes.items()}
    manifest = subject.bundle.manifest
    variants = {}
    for name, given in classes.items():
        confidence = answers.probabilities[name][read][:, 0]
        variants[name] = _result(subject, name, truths, given, confidence)
    comparisons = {}
    if _BASELINE in classes:
        base = classes[_BASELINE][:, 0]
        comparisons = {
            name: _compare(truths, base, given[:, 0])
            for name, given in classes.items()
            if name != _BASELINE
        }
    return Evaluation(
        schema_version=SCHEMA_VERSION,
        bundle=str(subject.bundle.folder.absolute()),
        model=manifest.model.name,
        key=key,
        data=_data(subject),
        labels=subject.labels,
        images=len(truths),
        failures=tuple(_failures(subject, answers)),
        variants=variants,
        comparisons=comparisons,
        changes=tuple(_changes(subject, answers)),
        tools=installed_tools(),
        warnings=tuple(_warnings(subject, truths)),
    )


def _result(
    subject: Subject,
    name: str,
    truths: NDArray[np.int32],
    given: NDArray[np.int32],
    confidence: NDArray[np.float32],
) -> VariantResult:
    manifest = subject.bundle.manifest
    file = manifest.model_files[name]
    right = given[:, 0] == truths
    among = (given == truths[:, None]).any(axis=1)
    bins = calibration_bins(confidence.astype(np.float64), right)
    return VariantResult(
        runner=subject.runners[name],
        file=file,
        sha256=manifest.files[file].sha256,
        top1=wilson(int(right.sum()), len(truths)),
        top5=wilson(int(among.sum()), len(truths)),
        calibration_error=calibration_error(bins),
        calibration=bins,
        classes=tuple(_by_class(subject.labels, truths, right, among)),
        confusion=_confusion(truths, given[:, 0]),
        not_finite=int((given[:, 0] < 0).sum()),
    )


def _by_class(
    labels: tuple[str, ...],
    truths: NDArray[np.int32],
    right: NDArray[np.bool_],
    among: NDArray[np.bool_],
) -> Iterator[ClassResult]:
    images = np.bincount(truths, minlength=len(labels))
    first = np.bincount(truths, right, len(labels))
    five = np.bincount(truths, among, len(labels))
    for index in np.flatnonzero(images).tolist():
        yield ClassResult(
            index=index,
            label=labels[index],
            top1=wilson(int(first[index]), int(images[index])),
            top5=wilson(int(five[index]), int(images[index])),
        )


def _confusion(
    truths: NDArray[np.int32], given: NDArray[np.int32]
) -> tuple[tuple[int, int, int], ...]:
    pairs, counts = np.unique(np.stack([truths, given], axis=1), axis=0, return_counts=True)
    rows = zip(pairs.tolist(), counts.tolist(), strict=True)
    return tuple((truth, answer, count) for (truth, answer), count in rows)


def _compare(
    truths: NDArray[np.int32], base: NDArray[np.int32], given: NDArray[np.int32]
) -> Comparison:
    was_right, is_right = base == truths, given == truths
    wrong = int((was_right & ~is_right).sum())
    right = int((~was_right & is_right).sum())
    return Comparison(
        agreement=wilson(int((base == given).sum()), len(truths)),
        became_wrong=wrong,
        became_right=right,
        p_worse=p_worse(wrong, right),
    )


def _changes(subject: Subject, answers: Answers) -> Iterator[Change]:
    first = {name: given[:, 0] for name, given in answers.classes.items()}
    stacked = np.stack(list(first.values()))
    for image in np.flatnonzero((stacked != stacked[0]).any(axis=0)).tolist():
        yield Change(
            path=subject.dataset.name(subject.dataset.examples[image].path),
            truth=int(subject.truths[image]),
            answers={
                name: Answer(
                    index=int(given[image]),
                    probability=round(float(answers.probabilities[name][image, 0]), 6),
                )
                for name, given in first.items()
            },
        )


def _failures(subject: Subject, answers: Answers) -> Iterator[Failure]:
    for image, reason in sorted(answers.errors.items()):
        path = subject.dataset.examples[image].path
        yield Failure(path=subject.dataset.name(path), reason=reason.removeprefix(f"{path}: "))


def _data(subject: Subject) -> DataInfo:
    dataset = subject.dataset
    return DataInfo(
        source=str(dataset.source),
        root=str(dataset.root),
        layout=dataset.layout,
        labels_as=subject.labels_as,
        sha256=dataset.sha256(),
        listed=len(dataset.examples),
    )


def _warnings(subject: Subject, truths: NDArray[np.int32]) -> Iterator[str]:
    shown = np.unique(truths)
    if len(shown) == 1 < len(subject.labels):
        yield (
            f"all {len(truths)} images are of one class, '{subject.labels[shown[0]]}': a model "
            "that always answers it would be right every time"
        )
    elif len(shown) < len(subject.labels):
        yield f"the data shows {len(shown)} of the model's {len(subject.labels)} classes"
    if len(truths) < _FEW:
        yield f"{len(truths)} images are few: see how wide the intervals are"
