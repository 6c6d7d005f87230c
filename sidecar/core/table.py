"""Tables of coloured text for a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GAP: Final = "  "


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


def table(head: str, rows: Iterable[Row], *, color: bool) -> str:
    """Return the rows below their column names, columns aligned; an empty text without rows."""
    body = list(rows)
    if not body:
        return ""
    lines = [[Cell(name, Colour.HEAD) for name in head.split()], *body]
    widths = [max(len(cell.text) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(_line(row, widths, color=color) for row in lines)


def _line(row: Row, widths: Sequence[int], *, color: bool) -> str:
    *front, last = row
    cells = [
        cell.painted(color=color, width=width) for cell, width in zip(front, widths, strict=False)
    ]
    return GAP.join([*cells, last.painted(color=color)]).rstrip()
