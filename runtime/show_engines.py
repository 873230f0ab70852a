"""Shows what became of the engines that were ordered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from runtime.build_engines import Outcome
from runtime.bundle import Bundle
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["engines_document", "show_engines"]


def show_engines(outcomes: Sequence[Outcome], bundle: Bundle, screen: Screen) -> None:
    """Show what became of each engine.

    Raises:
        DeployError: the first failure, after all were shown.
    """
    screen.document({"bundle": str(bundle.folder), "engines": engines_document(outcomes)})
    header = ("engine", "library", "for", "precision", "MiB", "")
    rows = [_row(outcome) for outcome in outcomes if outcome.info is not None]
    if rows:
        screen.result(text_table(header, rows))
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    for outcome in failures[1:]:
        screen.warn(f"{outcome.name}: {outcome.failure}")
    if failures:
        first = failures[0].failure
        assert first is not None
        raise type(first)(f"{failures[0].name}: {first}")


def engines_document(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return what became of each engine, for machines."""
    return [
        {
            "name": outcome.name,
            "kept": outcome.kept,
            "info": None if outcome.info is None else dataclasses.asdict(outcome.info),
            "failure": None if outcome.failure is None else str(outcome.failure),
        }
        for outcome in outcomes
    ]


def _row(outcome: Outcome) -> tuple[str, ...]:
    info = outcome.info
    assert info is not None
    return (
        outcome.name,
        f"{info.flavour} {info.version}",
        " ".join(info.target_sms),
        ", ".join(f"{share:.0%} {name}" for name, share in info.precision.items()),
        f"{info.plan.size / 2**20:.1f}",
        "kept" if outcome.kept else f"built in {info.seconds:.1f} s",
    )
