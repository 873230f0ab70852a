"""Draws what quantizing each node costs: one bar a node, in the order of the graph."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from calibration.sensitivity.investigate import Investigation
from calibration.sensitivity.sensitivity import BLOCK, Cost
from calibration.sensitivity.show import noise
from calibration.themed_svg import themed_svg

__all__ = ["plot_sensitivity"]

# Both have a contrast of 3 to 1 or more on white and on black.
_COLOURS = {"node": "#2f7fd0", "block": "#c8641e"}

_ROW_INCHES = 0.2
_LEAST = 1e-7
"""Noise below which bars are of no length: what float32 rounding does."""


def plot_sensitivity(found: Investigation) -> bytes:
    """Return an SVG that can be read on a light and on a dark page."""
    title = f"What quantizing each node alone costs, for {found.target}"
    return themed_svg(title, lambda: _figure(found))


def _figure(found: Investigation) -> Figure:
    costs = _in_order(found)
    figure = Figure(figsize=(7.5, 1.3 + _ROW_INCHES * len(costs)), layout="constrained")
    axes = figure.subplots()
    values = [max(noise(cost.score), _LEAST) for cost in costs]
    colours = [_COLOURS["block" if cost.kind == BLOCK else "node"] for cost in costs]
    axes.barh(range(len(costs)), values, height=0.75, color=colours)
    for row, cost in enumerate(costs):
        text = f" {cost.score.sqnr_db:.1f} dB"
        axes.text(values[row], row, text, va="center", fontsize=7)
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 2, max(values) * 4)
    axes.set_ylim(len(costs) - 0.4, -0.6)
    axes.set_yticks(range(len(costs)), [cost.name for cost in costs], fontsize=8)
    axes.set_xlabel("noise of the logits, in units of their signal, when it alone is quantized")
    together = f"together {found.costs.together.sqnr_db:.1f} dB"
    axes.set_title(f"{found.target}, {found.costs.images} images; {together}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
    axes.legend(handles=handles, frameon=False, fontsize=8)
    return figure


def _in_order(found: Investigation) -> list[Cost]:
    """Return the costs in the order of the graph, each block before the nodes in it."""
    blocks = {cost.nodes[0]: cost for cost in found.costs.blocks}
    rows: list[Cost] = []
    for cost in found.costs.nodes:
        rows += [blocks[cost.name]] if cost.name in blocks else []
        rows.append(cost)
    return rows
