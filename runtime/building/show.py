"""Shows what became of the engines that were ordered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from runtime.building.build_engines import Outcome
from runtime.bundle import Bundle
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["engine_table", "engines_document", "raise_failures", "show_engines"]

_NAMES = {"tensorrt": "TensorRT", "tensorrt_rtx": "RTX"}


def show_engines(outcomes: Sequence[Outcome], bundle: Bundle, screen: Screen) -> None:
    """Show what became of each engine."""
    screen.document({"bundle": str(bundle.folder), "engines": engines_document(outcomes)})
    if any(outcome.info for outcome in outcomes):
        screen.result(engine_table(outcomes))


def raise_failures(outcomes: Sequence[Outcome], screen: Screen) -> None:
    """Return if every engine is there.

    Raises:
        DeployError: the first failure; the others are shown as warnings.
    """
    failed = [(outcome.name, outcome.failure) for outcome in outcomes if outcome.failure]
    for name, failure in failed[1:]:
        screen.warn(f"{name}: {failure}")
    for name, failure in failed[:1]:
        raise type(failure)(f"{name}: {failure}")


def engine_table(outcomes: Sequence[Outcome]) -> str:
    """Return a table of the engines that are there."""
    header = ("engine", "library", "for", "precision", "MiB", "")
    return text_table(header, [_row(outcome) for outcome in outcomes if outcome.info is not None])


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
        f"{_NAMES[info.flavour]} {info.version}",
        " ".join(info.target_sms),
        ", ".join(f"{share:.0%} {name}" for name, share in info.precision.items()),
        f"{info.plan.size / 2**20:.1f}",
        "kept" if outcome.kept else f"built in {info.seconds:.1f} s",
    )
