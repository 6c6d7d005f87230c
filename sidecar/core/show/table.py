"""Tables of coloured text for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap
from typing import Final

GAP: Final = "  "

_INDENT: Final = " " * 4
_NARROW: Final = 24
"""Columns below which a text is not squeezed beside others, but stands below them."""


class Colour(StrEnum):
    """How a terminal shows a text (parameters of ECMA-48 SGR)."""

    PLAIN = ""
    HEAD = "1"
    BAD = "31"
    GOOD = "32"
    WARN = "33"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text and its colour; not painted yet, so its width is known."""

    text: str
    colour: Colour = Colour.PLAIN

    def painted(self, *, color: bool, width: int = 0) -> str:
        """Return the text filled up to `width`, without control characters of its own."""
        text = printable(self.text).ljust(width)
        return f"\x1b[{self.colour}m{text}\x1b[0m" if color and self.colour else text


type Row = Sequence[Cell]


def printable(text: str) -> str:
    """Return `text` with what could steer a terminal replaced: peers and programs wrote it."""
    return "".join(character if character.isprintable() else "?" for character in text)


def table(head: str, rows: Iterable[Row], *, color: bool, width: int | None = None) -> str:
    """Return the rows below their column names, columns aligned; an empty text without rows.

    In a terminal of `width` columns the last cell of a row is folded where it would not fit.
    """
    body = list(rows)
    if not body:
        return ""
    lines = [[Cell(name, Colour.HEAD) for name in head.split()], *body]
    widths = [max(len(cell.text) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(line for row in lines for line in _lines(row, widths, color, width))


def fold(text: str, width: int | None, indent: str = "") -> list[str]:
    """Return the lines of a text in a terminal of `width` columns, those after the first indented.

    Without a width it is one line. A word that is longer than a line stays whole: it may be a path
    that somebody wants to copy.
    """
    if width is None or not text:
        return [text]
    return wrap(
        text,
        max(width, _NARROW),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lines(row: Row, widths: Sequence[int], color: bool, width: int | None) -> Iterator[str]:
    """Give the lines of a row: one, or more where its last cell is folded."""
    *front, last = row
    cells = [
        cell.painted(color=color, width=wide) for cell, wide in zip(front, widths, strict=False)
    ]
    start = sum(wide + len(GAP) for wide in widths[:-1])
    if width is None or start + len(last.text) <= width:
        yield GAP.join([*cells, last.painted(color=color)]).rstrip()
        return
    if width - start < _NARROW:  # below the others
        yield GAP.join(cells).rstrip()
        start = len(_INDENT)
        cells = [" " * (start - len(GAP))]
    for text in fold(last.text, width - start):
        yield GAP.join([*cells, Cell(text, last.colour).painted(color=color)])
        cells = [" " * (start - len(GAP))]
