"""Draws how far each variant is from PyTorch, tensor by tensor, from the images to the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.report.content import DepthLine
from export.report.figures.svg import draw_svg, paint, paint_of, shorten

__all__ = ["draw_depth", "in_order"]

_ROW = 17
_MARGIN = 70


def draw_depth(lines: Sequence[DepthLine], width: int) -> Markup:
    """Return the SQNR along the depth, which runs downwards.

    Args:
        lines: one a variant; one at least.
        width: in pixels.
    """
    lower = [line for line in lines if line.variant != "fp32"]
    lines = lower or lines  # fp32 is so near that beside it the others would be one line
    order = in_order(lines)
    rows = {module: row for row, module in enumerate(order)}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for line in lines:
            _plot(line, rows, axes)
        axes.set_yticks(
            range(len(order)), [shorten(module, width) for module in order], fontsize=10
        )
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlabel("SQNR in dB, more is closer to PyTorch")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        figure.legend(
            loc="outside upper left", ncols=4, frameon=False, fontsize=10, handletextpad=0.2
        )

    worst = min((min(d for _, d in line.points), line.variant) for line in lines)
    return draw_svg(
        f"depth-{width}",
        "Distance from PyTorch along the depth of the network",
        f"Lowest is {worst[0]:.1f} decibel, of {worst[1]}; the numbers stand in the table below.",
        (width, _MARGIN + _ROW * len(order)),
        draw,
    )


def _plot(line: DepthLine, rows: Mapping[str, int], axes: Axes) -> None:
    values = [decibel for _, decibel in line.points]
    places = [rows[module] for module, _ in line.points]
    colour = paint_of(line.variant)
    axes.plot(values, places, "-", color=colour, linewidth=1.6)
    axes.plot(values, places, "o", color=colour, markersize=4, label=line.variant)
    ring = paint("fail")
    for module, decibel in line.points:
        if module == line.marked:
            where = [decibel], [rows[module]]
            axes.plot(*where, "o", markersize=11, markerfacecolor="none", markeredgecolor=ring)


def in_order(lines: Sequence[DepthLine]) -> list[str]:
    """Return all modules, those that one line lacks beside their neighbours in another."""
    order: list[str] = []
    for line in lines:
        place = 0
        for module, _ in line.points:
            if module in order:
                place = order.index(module) + 1
            else:
                order.insert(place, module)
                place += 1
    return order
