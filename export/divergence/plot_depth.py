"""Draws the SQNR along the depth of a network, as an SVG for light and dark pages alike."""

from __future__ import annotations

from matplotlib.figure import Figure

from calibration.themed_svg import themed_svg
from export.divergence.divergence import Divergence

__all__ = ["plot_depth"]

# Legible on white and on black: contrast above 3.5 to both.
_VARIANT, _FLOAT32, _FAULT = "#2f81d7", "#7d8590", "#d9480f"

_WIDTH_INCHES, _HEIGHT_INCHES = 9.0, 3.8
_MOST_LABELS = 40


def plot_depth(divergence: Divergence) -> bytes:
    """Return an SVG document: the variant's SQNR at every tensor, and that of float32 PyTorch."""
    title = f"SQNR of {divergence.variant} along the depth"
    return themed_svg(title, lambda: _figure(divergence))


def _figure(divergence: Divergence) -> Figure:
    figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
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
    return figure
