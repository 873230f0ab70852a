"""Draws with matplotlib and returns SVG that belongs to the page it stands in.

colours     are painted by name: a figure is drawn in stand-ins, each of which becomes
`var(--name)`, so that light and dark are the page's matter
text        stays text, in the page's own font; `$` means a dollar
size        one unit is one pixel at full size; the page scales it down, never up
identifiers begin with the figure's own, so that many can stand in one page
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from runtime.terminal import printable

__all__ = ["NAMES", "colour_of", "draw_svg", "paint", "paint_of", "shorten"]

NAMES = ("ink", "soft", "rule", "fail", "fp32", "fp16", "int8-trt", "int8-cpu", "other")
"""The page's custom properties that a figure may paint with."""

_STAND_INS = {name: f"#0102{16 + index:02x}" for index, name in enumerate(NAMES)}
_NAME_SHARE = 0.4
_LETTER = 6
"""Pixels of a letter, about."""
_SETTINGS: dict[Any, Any] = {  # matplotlib names every key in its type
    "svg.fonttype": "none",  # text as text
    "svg.hashsalt": "report",  # the same numbers give the same bytes
    "text.parse_math": False,
    "font.size": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _STAND_INS["rule"],
    "axes.labelcolor": _STAND_INS["soft"],
    "xtick.color": _STAND_INS["rule"],
    "ytick.color": _STAND_INS["rule"],
    "xtick.labelcolor": _STAND_INS["soft"],
    "ytick.labelcolor": _STAND_INS["ink"],
    "text.color": _STAND_INS["ink"],
    "grid.color": _STAND_INS["rule"],
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def paint(name: str) -> str:
    """Return the stand-in of a custom property of the page."""
    return _STAND_INS[name]


def paint_of(variant: str) -> str:
    """Return the stand-in of a variant's colour, which it has in every figure."""
    return paint(colour_of(variant))


def colour_of(variant: str) -> str:
    """Return the custom property of the page that is a variant's colour."""
    name = variant.replace(".", "-")
    return name if name in NAMES else "other"


def shorten(name: str, width: int) -> str:
    """Return a name on one line that leaves most of a figure's width to what is drawn.

    Of a path both ends are kept: they say the most.
    """
    most = int(_NAME_SHARE * width / _LETTER)
    shown = printable(name)
    if len(shown) <= most:
        return shown
    return f"{shown[: most // 2]}…{shown[-(most // 2 - 1) :]}"


def draw_svg(
    key: str, title: str, description: str, size: tuple[int, int], draw: Callable[[Figure], None]
) -> Markup:
    """Return a figure as an SVG element.

    Args:
        key: begins the identifiers; unique in the page, a letter and then letters, digits or "-".
        title: what it shows, for those who do not see it.
        description: what is to be seen, likewise.
        size: width and height in pixels.
        draw: draws on the figure.
    """
    width, height = size
    drawn = io.BytesIO()
    with rc_context(_SETTINGS), warnings.catch_warnings():
        # A script that matplotlib's own font lacks is drawn by the browser, in one that has it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        draw(figure)
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    body = drawn.getvalue().decode()
    body = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    for name, colour in _STAND_INS.items():
        body = body.replace(colour, f"var(--{name})")
    head = (
        f'<svg viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-labelledby="{key}-title" aria-describedby="{key}-description">'
        f'<title id="{key}-title">{escape(printable(title))}</title>'
        f'<desc id="{key}-description">{escape(printable(description))}</desc>'
    )
    return Markup(f"{head}{_adopt(body, key)}</svg>")


def _adopt(body: str, key: str) -> str:
    """Return what matplotlib wrote with identifiers of its own, and nothing that is the page's."""
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(
        r"<style .*?</style>", "", body, flags=re.DOTALL
    )  # its rules are for all elements
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = re.sub(r"font-family: [^;\"]*;?", "", body)
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body))

    def rename(match: re.Match[str]) -> str:
        return f' id="{key}-{match[1]}"' if match[1] in referred else ""

    body = re.sub(r' id="([^"]*)"', rename, body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", body)
    # A hundredth of a pixel is fine enough, and half the bytes.
    return re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), body)
