"""Writes a figure as an SVG that can be read on a light and on a dark page."""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

__all__ = ["themed_svg"]

_INK = "#010203"
"""Stands for the colour of the page's text, which matplotlib cannot name."""

_STYLE = (
    "<style>svg { color: #1f2328 } @media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }"
    "</style>"
)

_SETTINGS: dict[Any, Any] = {  # matplotlib lists every key in its type
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
    "svg.hashsalt": "resnet-deploy",  # the same picture is the same file
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def themed_svg(title: str, draw: Callable[[], Figure]) -> bytes:
    """Return an SVG document whose text and axes have the colour of the page's text.

    Args:
        title: what it shows, for those who cannot see it.
        draw: makes the figure.
    """
    drawn = io.StringIO()
    with rc_context(_SETTINGS):
        draw().savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue().replace(_INK, "currentColor")
    # After the outermost tag: the style of a page that holds the drawing wins over nothing of it.
    start = text.index(">", text.index("<svg")) + 1
    return f"{text[:start]}\n<title>{escape(title)}</title>\n{_STYLE}{text[start:]}".encode()
