"""Draws a tensor's values on real images, and the range that was chosen for them."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from export.report.content import Activation
from export.report.figures.svg import draw_svg, paint, paint_of

__all__ = ["draw_activation"]


def draw_activation(activation: Activation, index: int, variant: str) -> Markup:
    """Return the histogram, logarithmic upwards, what is clipped in another colour.

    Args:
        activation: what to draw.
        index: of the figure among its like.
        variant: whose range it is.
    """
    edges, counts = np.array(activation.edges), np.array(activation.counts, np.float64)
    middle = (edges[1:] + edges[:-1]) / 2
    inside = (middle >= activation.low) & (middle <= activation.high)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for chosen, colour in ((inside, paint_of(variant)), (~inside, paint("fail"))):
            axes.stairs(np.where(chosen, counts, 0), edges, fill=True, color=colour, alpha=0.75)
        for end in {activation.low, activation.high} - {0.0}:
            axes.axvline(end, color=paint("ink"), linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.set_ylim(0.5, max(1.0, float(counts.max())) * 2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.locator_params(axis="x", nbins=5)

    return draw_svg(
        f"activation-{index}",
        f"Values of {activation.tensor}",
        f"From {edges[0]:.3g} to {edges[-1]:.3g}; the chosen range is {activation.low:.3g} to "
        f"{activation.high:.3g} and clips {activation.clipped:.2%} of the values.",
        (300, 130),
        draw,
    )
