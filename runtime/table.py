"""Tables in plain text, the same on a terminal and in a file, never wider than 80 columns.

Written here because Rich, which draws the same table, takes 40 ms to import and draw it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.terminal import printable

__all__ = ["Layout", "text_table"]

WIDTH = 80
_GAP = "  "
_NARROWEST = 8
_NUMBER = re.compile(r"([+-]?[\d,]*\.?\d+(e[+-]?\d+)?|nan|inf)?( ?[%x])?|-")


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under the header, columns of numbers to the right.

    What is too wide loses its middle, the widest column first; control codes are shown escaped.

    Args:
        header: the name of each column.
        rows: one cell a column.
    """
    layout = Layout.of(header, rows)
    return "\n".join([layout.head(), *(layout.line(row) for row in rows)])


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the columns stand: for a table whose rows are written as they come."""

    header: tuple[str, ...]
    widths: tuple[int, ...]
    """In terminal columns."""
    right: tuple[bool, ...]
    """Which columns stand to the right."""

    @staticmethod
    def of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Layout:
        """Return a layout in which the header and the rows fit.

        Args:
            header: the name of each column.
            rows: all rows to come, or of each column the widest cell.
        """
        cells = [[printable(cell) for cell in row] for row in (header, *rows)]
        columns = list(zip(*cells, strict=True))
        widths = [max(_width(cell) for cell in column) for column in columns]
        room = WIDTH - len(_GAP) * (len(widths) - 1)
        while sum(widths) > room and max(widths) > _NARROWEST:
            widths[widths.index(max(widths))] -= 1
        right = (all(_NUMBER.fullmatch(cell) for cell in column[1:]) for column in columns)
        return Layout(header=tuple(header), widths=tuple(widths), right=tuple(right))

    def head(self) -> str:
        """Return the header and the rule below it."""
        return f"{self.line(self.header)}\n{self.line(['-' * width for width in self.widths])}"

    def line(self, row: Sequence[str]) -> str:
        """Return a row."""
        cells = []
        for cell, width, right in zip(row, self.widths, self.right, strict=True):
            shown = _shorten(printable(cell), width)
            space = " " * (width - _width(shown))
            cells.append(space + shown if right else shown + space)
        return _GAP.join(cells).rstrip()


def _shorten(cell: str, width: int) -> str:
    """Return the cell without its middle: of a path, both ends say the most."""
    if _width(cell) <= width:
        return cell
    head, tail = cell[: width // 2], cell[len(cell) - width // 2 :]
    while _width(head) + _width(tail) > width - 1:
        head, tail = (head[:-1], tail) if len(head) >= len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    import unicodedata  # rarely needed

    # Chinese, Japanese and Korean characters take two columns; combining marks take none.
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
