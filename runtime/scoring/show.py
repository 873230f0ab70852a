"""Shows what became of a scoring run: a line and a table for people, a document for machines."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from runtime.bundle import Bundle
from runtime.scoring.score import ScoreReport
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["show_scores"]


def show_scores(report: ScoreReport, bundle: Bundle, output: Path, screen: Screen) -> None:
    """Show how many images were scored, how fast, and what was wrong with the others."""
    tally = report.tally
    pace = report.scored / report.seconds if report.scored else 0.0
    screen.document(
        {
            "bundle": str(bundle.folder),
            "model": bundle.manifest.model.name,
            "output": str(output),
            "images": tally.images,
            "failed": tally.failed,
            "errors": [dataclasses.asdict(kind) for kind in tally.errors],
            "partitions": report.partitions,
            "resumed_partitions": report.resumed,
            "scored_images": report.scored,
            "seconds": report.seconds,
            "images_per_second": pace,
        }
    )
    line = f"{output}: {tally.images:,} images, {tally.failed:,} with an error"
    screen.result(
        f"{line}; {pace:,.1f} images/s" if report.scored else f"{line}; nothing was left to do"
    )
    if tally.errors:
        rows = [(f"{kind.images:,}", kind.message, kind.first) for kind in tally.errors]
        screen.result("\n" + text_table(("images", "error", "first"), rows))
