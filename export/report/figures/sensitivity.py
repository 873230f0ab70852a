"""Draws what quantizing each layer alone costs."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure

from export.report.content import Bar
from export.report.figures.svg import draw_svg, paint_of, shorten

__all__ = ["draw_sensitivity"]

_ROW = 19
_MARGIN = 50


def draw_sensitivity(bars: Sequence[Bar], variant: str, width: int) -> Markup:
    """Return a bar a layer: the noise it adds to the logits, in thousandths of their power.

    Args:
        bars: the worst first; one at least.
        variant: whose quantization it is.
        width: in pixels.
    """
    noise = [1000 * 10 ** (-bar.sqnr_db / 10) for bar in bars]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = range(len(bars))
        axes.barh(rows, noise, height=0.7, color=paint_of(variant))
        for row, bar in enumerate(bars):
            axes.annotate(
                f"{bar.sqnr_db:.1f} dB",
                (noise[row], row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
        axes.set_yticks(rows, [shorten(bar.name, width) for bar in bars], fontsize=10)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, max(noise) * (1.2 if width > 500 else 1.45))
        axes.set_xlabel("noise in the answer, in thousandths")
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=4)

    return draw_svg(
        f"sensitivity-{width}",
        "What quantizing each layer alone costs",
        f"{bars[0].name} costs most: {bars[0].sqnr_db:.1f} decibel remain.",
        (width, _MARGIN + _ROW * len(bars)),
        draw,
    )
