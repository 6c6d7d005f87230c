"""What the bench prints: tables, and what goes on meanwhile."""

import sys
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows of as many cells as `head` has as aligned text."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def say(text: str) -> None:
    """Tell what goes on, beside the tables."""
    print(text, file=sys.stderr, flush=True)
