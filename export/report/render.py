"""Renders a report's content as one HTML page: styles, figures and pictures within."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from export.report.content import Content, DepthLine, Missing
from export.report.figures.activation import draw_activation
from export.report.figures.depth import draw_depth, in_order
from export.report.figures.plane import draw_plane
from export.report.figures.sensitivity import draw_sensitivity
from export.report.figures.svg import colour_of
from export.verdict.check_accuracy import percent
from export.verdict.finding import Verdict
from export.verdict.gates import FAIL, NOT_SHOWN, PASS, TOLD, WARN
from runtime.terminal import printable

__all__ = ["render"]

_FOLDER = Path(__file__).parent
_WIDE, _NARROW = 680, 328
"""Pixels that a figure has on a desk and on a phone: it is drawn for each, so that its text is
never scaled to what cannot be read."""
_FAILURES = 3
"""That the first sentence names."""
_MARKS = {TOLD: "·", PASS: "✓", WARN: "!", NOT_SHOWN: "?", FAIL: "✕"}
_SECTIONS = (
    ("variants", "Variants"),
    ("gates", "Gates"),
    ("plane", "Accuracy and speed"),
    ("parity", "Shapes"),
    ("depth", "Depth"),
    ("activations", "Ranges"),
    ("sensitivity", "Layers"),
    ("classes", "Classes"),
    ("changes", "Changed answers"),
    ("provenance", "Provenance"),
)


def render(content: Content) -> str:
    """Return the page. What it is given is shown as text, whatever it holds."""
    verdict, depth = content.verdict, content.depth
    return (
        _environment()
        .get_template("report.html")
        .render(
            **vars(content),
            css=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),
            marks=_MARKS,
            overall=_overall(verdict),
            lede=_lede(content),
            tally=_tally(verdict),
            contents=_SECTIONS,
            depth_rows=() if isinstance(depth, Missing) else _depth_rows(depth),
            figures=_figures(content),
        )
    )


def _figures(content: Content) -> dict[str, Any]:
    """Return every figure there is something to draw in, wide and narrow, by its section."""
    figures: dict[str, Any] = {}
    if not isinstance(content.plane, Missing):
        figures["plane"] = [draw_plane(content.plane, width) for width in (_WIDE, _NARROW)]
    if not isinstance(content.depth, Missing):
        figures["depth"] = [draw_depth(content.depth, width) for width in (_WIDE, _NARROW)]
    if not isinstance(content.sensitivity, Missing):
        figures["sensitivity"] = [
            draw_sensitivity(content.sensitivity, content.quantized, width)
            for width in (_WIDE, _NARROW)
        ]
    if not isinstance(content.activations, Missing):
        figures["activations"] = [
            draw_activation(each, index, content.quantized)
            for index, each in enumerate(content.activations)
        ]
    return figures


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
    )
    environment.filters.update(
        colour=colour_of,
        slug=lambda status: status.replace(" ", "-"),
        percent=percent,
        few=lambda share: f"{100 * share:.2g} %" if share else "nothing",
        one=lambda value: f"{value:.1f}",
        two=lambda value: f"{value:.2f}",
        three=lambda value: f"{value:.3g}".replace("-", "\N{MINUS SIGN}"),
        points=_points,
        signed=_signed,
        interval=_interval,
        mebibytes=lambda size: f"{size / 2**20:.1f} MiB",
    )
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    return environment


def _overall(verdict: Verdict) -> str:
    if not verdict.passed:
        return FAIL
    return next((status for status in (NOT_SHOWN, WARN) if verdict.counts[status]), PASS)


def _lede(content: Content) -> str:
    """Return what matters first: what failed, or else what is gained and what it costs."""
    failed = [finding for finding in content.verdict.findings if finding.status == FAIL]
    if failed:
        shown = [f"{f.subject}, {f.area}: {f.measured}, gate {f.gate}" for f in failed[:_FAILURES]]
        more = len(failed) - len(shown)
        return "; ".join(shown) + (f"; and {more} more." if more else ".")
    top1 = next((card.top1 for card in content.variants if card.name == "fp32"), None)
    told = f"fp32 is right on {percent(top1)} of {top1.of:,} images." if top1 else ""
    quick = [card for card in content.variants if card.speedup is not None and card.drop]
    best = max(quick, key=lambda card: card.speedup or 0, default=None)
    if best is None or best.drop is None or best.speedup is None or best.speedup <= 1:
        return told
    change = _change(*best.drop)
    return f"{told} {best.name} {change} and is {best.speedup:.2f} times as fast."


def _change(lost: float, low: float, high: float) -> str:
    """Return what points of top-1 that are lost come to, and whether that is more than chance."""
    points = f"{abs(lost):.2f}"
    if float(points) == 0:
        return "loses nothing"
    chance = ", which may be chance," if low <= 0 <= high else ""
    return f"{'loses' if lost > 0 else 'gains'} {points} points{chance}"


def _tally(verdict: Verdict) -> str:
    rest = f", {verdict.reservations}" if verdict.reservations else ""
    gates = len(verdict.findings) - verdict.counts[TOLD]
    return f"{verdict.counts[PASS]} of {gates} gates passed{rest}."


def _depth_rows(lines: Sequence[DepthLine]) -> list[tuple[str, list[float | None]]]:
    columns = [dict(line.points) for line in lines]
    return [(module, [column.get(module) for column in columns]) for module in in_order(lines)]


def _points(points: float) -> str:
    """Return a number of points, with a true minus."""
    text = f"{points:.2f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _signed(points: float) -> str:
    """Return points with their sign; without one what rounds to nothing."""
    text = _points(points)
    return f"+{text}" if float(f"{points:.2f}") > 0 else text


def _interval(low: float, high: float, unit: str) -> str:
    if unit in ("points", ""):
        return f"{_points(low)} to {_points(high)} {unit}".strip()
    return f"{low:.1f} to {high:.1f} {unit}"


def _show(value: object) -> object:
    """Return what of a value goes into the page.

    Control and bidirectional codes of labels and file names would rearrange the text around them.
    """
    if type(value) is not str:
        return value
    return printable(value).replace(" %", "\N{NO-BREAK SPACE}%")
