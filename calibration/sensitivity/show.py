"""Shows what quantizing each node costs, to a person and to a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from calibration.score import Score
from calibration.sensitivity.investigate import Investigation
from calibration.sensitivity.order import Order
from calibration.sensitivity.sensitivity import Cost, worst_first
from runtime.table import text_table
from runtime.terminal import Screen

__all__ = ["noise", "show_sensitivity"]

_BAR = 20
"""Characters of the longest bar."""


def show_sensitivity(found: Investigation, order: Order, screen: Screen) -> None:
    """Write what was found, as text or as one JSON document."""
    costs = found.costs
    if costs.blocks:
        screen.result(_table("block", costs.blocks, order.top))
        screen.result("")
    screen.result(_table("node", costs.nodes, order.top))
    screen.result("")
    for line in _lines(found, order):
        screen.result(line)
    screen.document(_document(found))


def noise(score: Score) -> float:
    """Return the power of the noise, in units of the signal's; 0 if there is none."""
    return float(10 ** (-score.sqnr_db / 10))


def _table(kind: str, costs: Sequence[Cost], top: int) -> str:
    total = sum(noise(cost.score) for cost in costs) or 1.0
    rows = []
    for cost in worst_first(costs)[:top]:
        share = noise(cost.score) / total
        rows.append(
            [
                cost.name,
                f"{cost.score.sqnr_db:.1f}",
                f"{100 * cost.score.top1_agreement:.1f} %",
                f"{100 * share:.1f} %",
                "#" * round(_BAR * share),
            ]
        )
    rest = worst_first(costs)[top:]
    if rest:
        share = sum(noise(cost.score) for cost in rest) / total
        rows.append([f"{len(rest)} more", "-", "-", f"{100 * share:.1f} %", ""])
    header = [f"{kind} alone", "SQNR dB", "same top-1", "noise", "share of all noise"]
    return text_table(header, rows)


def _lines(found: Investigation, order: Order) -> list[str]:
    together = found.costs.together
    lines = [
        f"together: SQNR {together.sqnr_db:.1f} dB, same top-1 class for "
        f"{100 * together.top1_agreement:.1f} % of {found.costs.images} images",
        f"target: {found.target}; ranges: {found.method}",
    ]
    if found.head:
        lines.append(f"not in it, float by default: {', '.join(found.head)}")
    if order.plot is not None:
        lines.append(f"plot: {order.plot}")
    return lines


def _document(found: Investigation) -> dict[str, Any]:
    document = dataclasses.asdict(found)
    costs = document["costs"]
    for score in (costs["together"], *(c["score"] for c in (*costs["nodes"], *costs["blocks"]))):
        if score["sqnr_db"] == float("inf"):  # JSON has no infinity: no error at all is no number
            score["sqnr_db"] = None
    return document
