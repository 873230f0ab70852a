"""Shows what came of a training: lines for people, a document for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from export.training.finetune import Outcome
from export.training.score import Score
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_outcome"]


def show_outcome(outcome: Outcome, screen: Screen) -> None:
    """Show the best epoch, the test if there was one, and what to do next."""
    best, test = outcome.best, outcome.test
    screen.result(
        f"best: epoch {best.epoch} of {len(outcome.history)}, {best.val_accuracy:.1f} % of the "
        "validation images"
    )
    if test is not None:
        low, high = test.interval
        screen.result(
            f"test: {test.accuracy:.2f} % of {sum(test.images)} images, "
            f"95 % interval {low:.1f} to {high:.1f}; mean over classes {test.mean_recall:.1f} %"
        )
        screen.result(_recalls(outcome.labels, test))
    screen.result(f"next: python -m export auto --weights {outcome.checkpoint} --onnx")
    screen.document(
        {
            "checkpoint": str(outcome.checkpoint),
            "best": asdict(best),
            "history": [asdict(record) for record in outcome.history],
            "test": _document(outcome.labels, test) if test else None,
        }
    )


def _recalls(labels: tuple[str, ...], test: Score) -> str:
    rows = [
        (label, str(images), str(right), f"{100 * right / images:.1f}" if images else "-")
        for label, right, images in zip(labels, test.right, test.images, strict=True)
    ]
    return text_table(("class", "images", "right", "%"), rows)


def _document(labels: tuple[str, ...], test: Score) -> dict[str, Any]:
    low, high = test.interval
    return {
        "accuracy": test.accuracy,
        "interval": [low, high],
        "mean_recall": test.mean_recall,
        "images": dict(zip(labels, test.images, strict=True)),
        "right": dict(zip(labels, test.right, strict=True)),
    }
