"""Tables in plain text, the same on a terminal and in a file, never wider than 80 columns.

Written here because Rich, which draws the same table, takes 40 ms to import and draw it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from runtime.terminal import printable

__all__ = ["text_table"]

WIDTH = 80
_GAP = "  "
_NARROWEST = 8
_NUMBER = re.compile(r"([+-]?[\d,]*\.?\d+(e[+-]?\d+)?|nan|inf)?( ?[%x])?|-")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under the header, columns of numbers to the right.

    What is too wide loses its tail, the widest column first; control codes are shown escaped.

    Args:
        header: the name of each column.
        rows: one cell a column.
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    columns = list(zip(*cells, strict=True))
    widths = _fit([max(_width(cell) for cell in column) for column in columns])
    right = [bool(rows) and all(_is_number(cell) for cell in column[1:]) for column in columns]
    lines = [_line(row, widths, right) for row in cells]
    rule = _GAP.join("-" * width for width in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _fit(widths: list[int]) -> list[int]:
    room = WIDTH - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, to_the_right in zip(row, widths, right, strict=True):
        shown = _shorten(cell, width)
        space = " " * (width - _width(shown))
        padded.append(space + shown if to_the_right else shown + space)
    return _GAP.join(padded).rstrip()


def _shorten(cell: str, width: int) -> str:
    if _width(cell) <= width:
        return cell
    while _width(cell) > width - 1:
        cell = cell[:-1]
    return cell + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    # Chinese, Japanese and Korean characters take two columns; combining marks take none.
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None
