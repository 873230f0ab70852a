"""Shows classes of images: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.bundle import Bundle
from runtime.table import Layout
from runtime.terminal import Screen

if TYPE_CHECKING:
    from runtime.classify_images import Classification, Classified

__all__ = ["show_classified"]


def show_classified(classification: Classification, bundle: Bundle, screen: Screen) -> list[str]:
    """Show each result as it comes; return why images failed, one line for each that did."""
    failures: list[str] = []
    watched = _watch(classification, failures, screen)
    if screen.json:
        document = {
            "bundle": str(bundle.folder),
            "model": bundle.manifest.model.name,
            "variant": classification.variant,
            "runner": classification.runner.name,
            "images": [_entry(result) for result in watched],
        }
        screen.document(document)
    else:
        _show_rows(watched, _layout(classification.images, bundle.manifest.labels), screen)
    return failures


def _watch(
    classification: Classification, failures: list[str], screen: Screen
) -> Iterator[Classified]:
    """Pass the results on, tell of those that failed, and show how far it is."""
    total = len(classification.images)
    with screen.progress("classify", total) as advance:
        for result in classification.results:
            if result.error:
                failures.append(result.error)
                if total > 1:  # of a single one, the last line says it
                    screen.warn(f"skipped {result.error}")
            yield result
            advance()


def _show_rows(results: Iterable[Classified], layout: Layout, screen: Screen) -> None:
    head = layout.head()
    for result in results:
        if head and result.classes:
            screen.result(head)
            head = ""
        name = str(result.image)
        for ranked in result.classes:
            screen.result(layout.line((name, ranked.label, f"{ranked.probability:.2%}")))
            name = ""


def _layout(images: Sequence[Path], labels: Sequence[str]) -> Layout:
    """Return a layout for rows that are written before the last of them is known."""
    longest_name = max((str(image) for image in images), key=len)
    longest_label = max(labels, key=len, default="0")
    return Layout.of(("image", "class", "probability"), [(longest_name, longest_label, "100.00%")])


def _entry(result: Classified) -> dict[str, Any]:
    if result.error:
        return {"image": str(result.image), "error": result.error}
    classes = [dataclasses.asdict(ranked) for ranked in result.classes]
    return {"image": str(result.image), "classes": classes}
