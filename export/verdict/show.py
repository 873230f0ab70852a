"""Shows a verdict: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path

from export.verdict.finding import Finding, Verdict
from export.verdict.gates import FAIL, NOT_SHOWN, PASS, TOLD
from export.verdict.read_gates import Gates
from runtime.table import WIDTH, text_table
from runtime.terminal import Screen, printable

__all__ = ["complaint", "show_verdict"]


def show_verdict(verdict: Verdict, gates: Gates, report: Path | None, screen: Screen) -> None:
    """Show every finding, then the verdict."""
    screen.document(
        {
            **dataclasses.asdict(verdict),
            "passed": verdict.passed,
            "headline": verdict.headline,
            "counts": verdict.counts,
            "gates": dataclasses.asdict(gates),
            "report": None if report is None else str(report),
        }
    )
    header = ("", "what", "of", "measured", "95 % interval", "gate")
    screen.result(text_table(header, [_row(finding) for finding in verdict.by_urgency]))
    remarks = [f for f in verdict.by_urgency if f.remark and f.status not in (PASS, TOLD)]
    if remarks:
        screen.result("")
    for finding in remarks:
        remark = f"{finding.subject}, {finding.area}: {finding.remark}"
        screen.result(textwrap.fill(printable(remark), WIDTH, subsequent_indent="  "))
    rest = f": {verdict.reservations}" if verdict.reservations else ""
    screen.result(f"\n{verdict.model} {verdict.headline}{rest}")
    if report is not None:
        screen.result(f"report {report}")


def complaint(verdict: Verdict) -> str:
    """Return in one line why the bundle must not ship."""
    failing = (FAIL, NOT_SHOWN) if verdict.strict else (FAIL,)
    failed = [finding for finding in verdict.findings if finding.status in failing]
    first = failed[0]
    more = f", and {len(failed) - 1} more gates are not met" if len(failed) > 1 else ""
    return (
        f"'{verdict.bundle}' must not ship: {first.area} of {first.subject} is {first.measured}, "
        f"the gate {first.gate}{more}"
    )


def _row(finding: Finding) -> tuple[str, ...]:
    ends = [_end(value, finding.unit) for value in (finding.low, finding.high) if value is not None]
    return (
        finding.status,
        finding.area,
        finding.subject,
        finding.measured,
        " to ".join(ends),
        finding.gate,
    )


def _end(value: float, unit: str) -> str:
    """Return the end of an interval, as exact as the column is wide: a table cuts what is wider."""
    digits = 2 if unit == "points" and abs(value) < 10 else 1
    return f"{value:.{digits}f}"
