"""Gathers what a report shows of the verdict's own evidence: accuracy, speed, shapes, images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.report.content import (
    ChangedAnswer,
    ChangedImage,
    ClassChange,
    Missing,
    PlanePoint,
    VariantCard,
)
from export.report.thumbnail import thumbnail
from export.verdict.check_speed import smallest_batch
from export.verdict.gates import drop_interval
from runtime.benchmark.document import Benchmark
from runtime.bundle import Bundle
from runtime.evaluation.document import Change, ClassResult, Evaluation

__all__ = ["ALTERED", "cards", "changed_images", "class_changes", "plane"]

ALTERED = Missing(reason="Not measured, because the bundle is not what was published.")
_MOST_CLASSES = 30
_MOST_IMAGES = 24


def cards(
    bundle: Bundle, evaluation: Evaluation | None, benchmark: Benchmark | None
) -> tuple[VariantCard, ...]:
    """Return the numbers of every variant, and of every engine that was evaluated."""
    manifest = bundle.manifest
    right = evaluation.variants if evaluation else {}
    speed = smallest_batch(benchmark) if benchmark else {}
    fp32 = speed.get("fp32")
    found = []
    for name in dict.fromkeys((*manifest.variants, *right)):
        timed = speed.get(name)
        found.append(
            VariantCard(
                name=name,
                precision=manifest.variant_of(name).precision,
                size=manifest.files[manifest.model_files[name]].size,
                top1=right[name].top1 if name in right else None,
                drop=_drop(evaluation, name),
                latency_ms=timed.p50_ms if timed else None,
                speedup=fp32.p50_ms / timed.p50_ms if fp32 and timed else None,
            )
        )
    return tuple(found)


def _drop(evaluation: Evaluation | None, name: str) -> tuple[float, float, float] | None:
    comparison = evaluation.comparisons.get(name) if evaluation else None
    if comparison is None:
        return None
    changed = (comparison.became_wrong, comparison.became_right)
    return drop_interval(comparison.agreement.of, *changed)


def plane(
    evaluation: Evaluation | None, benchmark: Benchmark | None
) -> tuple[PlanePoint, ...] | Missing:
    """Return where each variant is in the plane of latency and accuracy."""
    if evaluation is None or benchmark is None:
        return ALTERED
    speed = smallest_batch(benchmark)
    points = tuple(
        PlanePoint(variant=name, latency_ms=speed[name].p50_ms, top1=result.top1)
        for name, result in evaluation.variants.items()
        if name in speed
    )
    return points or Missing(
        reason="Nothing was timed.",
        command="python -m runtime bench BUNDLE",
    )


def class_changes(
    evaluation: Evaluation | None,
) -> tuple[tuple[ClassChange, ...] | Missing, tuple[str, ...], int]:
    """Return the classes that change most, the variants they are told of, and how many are left."""
    if evaluation is None:
        return ALTERED, (), 0
    if "fp32" not in evaluation.variants:
        return Missing(reason="fp32 was not evaluated."), (), 0
    others = tuple(name for name in evaluation.variants if name != "fp32")
    results = {name: _by_class(evaluation.variants[name].classes) for name in others}
    changes = [
        ClassChange(
            label=each.label,
            images=each.top1.of,
            fp32=each.top1.value,
            shares=tuple(results[name][each.index].top1.value for name in others),
        )
        for each in evaluation.variants["fp32"].classes
    ]
    if len(changes) > _MOST_CLASSES:
        changes.sort(key=lambda c: -max((abs(share - c.fp32) for share in c.shares), default=0))
    return tuple(changes[:_MOST_CLASSES]), others, max(0, len(changes) - _MOST_CLASSES)


def _by_class(results: Sequence[ClassResult]) -> dict[int, ClassResult]:
    return {result.index: result for result in results}


def changed_images(
    evaluation: Evaluation | None, quantized: str
) -> tuple[tuple[ChangedImage, ...] | Missing, int]:
    """Return images that not all variants answer alike, and how many more there are.

    Those come first that fp32 and the quantized variant answer differently, the surest of them at
    the very front: they are no matter of a toss.
    """
    if evaluation is None:
        return ALTERED, 0
    if len(evaluation.variants) < 2:
        return Missing(reason="There is one variant only, so none can answer otherwise."), 0
    ordered = sorted(evaluation.changes, key=lambda change: _rank(change, quantized))
    shown = tuple(_changed_image(change, evaluation) for change in ordered[:_MOST_IMAGES])
    return shown, max(0, len(ordered) - _MOST_IMAGES)


def _rank(change: Change, quantized: str) -> tuple[bool, float]:
    fp32, other = change.answers.get("fp32"), change.answers.get(quantized)
    if fp32 is None or other is None or fp32.index == other.index:
        return True, 0.0
    return False, -min(fp32.probability, other.probability)


def _changed_image(change: Change, evaluation: Evaluation) -> ChangedImage:
    return ChangedImage(
        path=change.path,
        truth=evaluation.labels[change.truth],
        picture=thumbnail(Path(evaluation.data.root) / change.path),
        answers=tuple(
            ChangedAnswer(
                variant=name,
                label=evaluation.labels[answer.index] if answer.index >= 0 else "no finite answer",
                probability=answer.probability,
                right=answer.index == change.truth,
            )
            for name, answer in change.answers.items()
        ),
    )
