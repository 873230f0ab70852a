"""Shows an evaluation: one table of the variants, what changed, and where the errors are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from runtime.evaluation.document import Comparison, Evaluation, VariantResult
from runtime.share import Share
from runtime.table import text_table
from runtime.terminal import Screen
from runtime.variant import ORACLE

__all__ = ["show_evaluation"]

_MOST_CLASSES = 10
"""Of which all are shown; of more, those that fare worst and are confused most."""
_SIGNIFICANT = 0.05


def show_evaluation(found: Evaluation, screen: Screen) -> None:
    """Write the evaluation to the screen."""
    screen.document(dataclasses.asdict(found))
    screen.result(_accuracies(found))
    if found.comparisons:
        screen.result(f"\n{_comparisons(found)}")
    base = next(iter(found.variants))
    screen.result(f"\n{_classes(found)}")
    screen.result(f"\n{_confusion(found.variants[base], found.labels, base)}")
    if ORACLE in found.variants and found.variants[ORACLE].runner.endswith(" cpu"):
        screen.result(
            f"\n{ORACLE} on a CPU is an oracle for TensorRT: its answers count, its time does not"
        )


def _accuracies(found: Evaluation) -> str:
    columns = {
        "variant": list(found.variants),
        "top-1": [_percent(each.top1.value) for each in found.variants.values()],
        "95 % interval": [_interval(each.top1) for each in found.variants.values()],
        "top-5": [_percent(each.top5.value) for each in found.variants.values()],
        "calibration error": [_percent(e.calibration_error) for e in found.variants.values()],
    }
    if any(each.not_finite for each in found.variants.values()):
        columns["not finite"] = [str(each.not_finite) for each in found.variants.values()]
    return text_table(list(columns), list(zip(*columns.values(), strict=True)))


def _comparisons(found: Evaluation) -> str:
    header = ("against fp32", "same answer", "became wrong", "became right", "p", "worse?")
    rows = [
        (
            name,
            _percent(each.agreement.value),
            str(each.became_wrong),
            str(each.became_right),
            f"{each.p_worse:.2g}",
            _verdict(each),
        )
        for name, each in found.comparisons.items()
    ]
    return text_table(header, rows)


def _verdict(comparison: Comparison) -> str:
    return "yes" if comparison.p_worse < _SIGNIFICANT else "not shown"


def _classes(found: Evaluation) -> str:
    """Return the accuracy of each class, or of those that fare worst."""
    results = {
        name: {each.index: each.top1 for each in result.classes}
        for name, result in found.variants.items()
    }
    first = next(iter(results.values()))
    shown = sorted(first, key=lambda index: (first[index].value, index))[:_MOST_CLASSES]
    if len(first) <= _MOST_CLASSES:
        shown = sorted(first)
    rows = [
        (
            found.labels[index],
            str(first[index].of),
            *(_percent(shares[index].value) for shares in results.values()),
        )
        for index in shown
    ]
    table = text_table(("class", "images", *results), rows)
    left = len(first) - len(shown)
    return table + (f"\n{left} more classes fare better" if left else "")


def _confusion(result: VariantResult, labels: Sequence[str], name: str) -> str:
    wrong = [row for row in result.confusion if row[0] != row[1]]
    wrong.sort(key=lambda row: (-row[2], row[0], row[1]))
    if not wrong:
        return f"{name} confuses nothing"
    rows = [
        (labels[truth], labels[answer] if answer >= 0 else "not finite", str(images))
        for truth, answer, images in wrong[:_MOST_CLASSES]
    ]
    return text_table((f"true class ({name})", "answered", "images"), rows)


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _interval(share: Share) -> str:
    return f"{share.low:.2%} to {share.high:.2%}"
