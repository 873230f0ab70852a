"""Shows what changed between two releases: a table for people, a document for machines."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator

from export.release.difference import Comparison, Difference
from export.verdict.gates import PASS, TOLD
from runtime.table import WIDTH, text_table
from runtime.terminal import Screen, printable

__all__ = ["show_comparison", "summarize"]

_ALL_ALIKE = ("labels", "preprocessing", "judgement")
"""Areas whose remarks are not of one subject."""


def show_comparison(comparison: Comparison, screen: Screen) -> None:
    """Show every difference, the worst first, and what they come to."""
    screen.document(
        {
            **dataclasses.asdict(comparison),
            "passed": not comparison.failed,
            "summary": summarize(comparison),
        }
    )
    for reason in comparison.not_compared:
        screen.note(f"not compared: {reason}")
    if comparison.differences:
        header = ("", "what", "of", "before", "after", "limit")
        rows = [_row(each) for each in comparison.by_urgency]
        screen.result(text_table(header, rows) + "\n")
    for line in dict.fromkeys(_remarks(comparison)):
        screen.result(textwrap.fill(printable(line), WIDTH, subsequent_indent="  "))
    if comparison.same:
        same = f"the same: {', '.join(comparison.same)}"
        screen.result(textwrap.fill(same, WIDTH, subsequent_indent="  "))
    if not comparison.failed:
        screen.result(summarize(comparison))


def summarize(comparison: Comparison) -> str:
    """Return in one line whether the newer release is worse than may be."""
    names = f"'{comparison.after}'", f"'{comparison.before}'"
    if comparison.failed:
        first = comparison.failed[0]
        rest = len(comparison.failed) - 1
        more = f", and {rest} more" if rest else ""
        return (
            f"{names[0]} is worse than {names[1]}: {first.area} of {first.subject} went from "
            f"{first.before} to {first.after}, the limit is {first.gate}{more}"
        )
    if comparison.identical:
        return f"{names[0]} and {names[1]} hold the same files"
    warned = len(comparison.warned)
    look = f", {warned} to look at" if warned else ""
    return (
        f"{names[0]} is not worse than {names[1]}: {len(comparison.differences)} "
        f"{'difference' if len(comparison.differences) == 1 else 'differences'}{look}"
    )


def _remarks(comparison: Comparison) -> Iterator[str]:
    for each in comparison.by_urgency:
        if each.remark and each.status != PASS:
            subject = "" if each.area in _ALL_ALIKE else f"{each.subject}, "
            yield f"{subject}{each.area}: {each.remark}"


def _row(difference: Difference) -> tuple[str, ...]:
    return (
        "" if difference.status == TOLD else difference.status,
        difference.area,
        difference.subject,
        difference.before,
        difference.after,
        difference.gate,
    )
