"""Draws the SQNR along the depth of a network, as an SVG for light and dark pages alike."""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from export.divergence.divergence import Divergence

__all__ = ["plot_depth"]

_INK = "#010203"
"""Stands for the colour of the page's text, which matplotlib cannot name."""
_STYLE = """<style>
svg { color: #24292f }
@media (prefers-color-scheme: dark) { svg { color: #d0d7de } }
</style>"""
# Legible on white and on black: contrast above 3.5 to both.
_VARIANT, _FLOAT32, _FAULT = "#2f81d7", "#7d8590", "#d9480f"

_SETTINGS: dict[Any, Any] = {  # matplotlib lists every key in its type
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "svg.hashsalt": "resnet-deploy",  # the same picture is the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_WIDTH_INCHES, _HEIGHT_INCHES = 9.0, 3.8
_MOST_LABELS = 40


def plot_depth(divergence: Divergence) -> str:
    """Return an SVG document: the variant's SQNR at every tensor, and that of float32 PyTorch."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, divergence)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _adapt(buffer.getvalue(), f"SQNR of {divergence.variant} along the depth")


def _draw(axes: Axes, divergence: Divergence) -> None:
    tensors = divergence.tensors
    depth = range(len(tensors))
    axes.plot(depth, [t.sqnr_db for t in tensors], color=_VARIANT, label=divergence.variant)
    borders = [index for index, tensor in enumerate(tensors) if tensor.border]
    axes.plot(borders, [tensors[i].sqnr_db for i in borders], "o", color=_VARIANT, markersize=4)
    if divergence.precision == "float32":
        floor = [t.float32_sqnr_db for t in tensors]
        axes.plot(depth, floor, color=_FLOAT32, linestyle="--", label="PyTorch in float32")
    for index, tensor in enumerate(tensors):
        if tensor.module == divergence.first:
            axes.plot(
                index, tensor.sqnr_db, "D", color=_FAULT, label=f"leaves PyTorch: {tensor.module}"
            )
    step = -(-len(tensors) // _MOST_LABELS)
    shown = list(depth)[::step]
    axes.set_xticks(shown, [tensors[index].module for index in shown], rotation=60, ha="right")
    axes.set_ylabel("SQNR, dB (higher is closer)")
    axes.grid(visible=True, axis="y", color=_FLOAT32, alpha=0.35)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="best")


def _adapt(svg: str, title: str) -> str:
    """Return the SVG with the page's colour for its ink, and a title for those who cannot see."""
    coloured = svg.replace(_INK, "currentColor")
    opening = re.compile(r"<svg\b[^>]*>")
    return opening.sub(
        lambda m: f"{m.group()}\n<title>{title}</title>\n{_STYLE}", coloured, count=1
    )
