"""The history as people see it: newest first."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from sidecar.core.history.retention import newest_first
from sidecar.core.history.snapshot import Header
from sidecar.core.show.table import Cell, Colour, table

Marks = Mapping[str, Sequence[str]]
"""What is to be known of some snapshots, in a word or two each, by id."""

EMPTY: Final = "No snapshot yet."


def timeline(headers: Mapping[str, Header], marks: Marks, zone: tzinfo, *, color: bool) -> str:
    """Return a table of snapshots, with times in `zone`."""
    rows = (
        (
            Cell(snapshot[:12], Colour.GOOD if marks.get(snapshot) else Colour.PLAIN),
            Cell(moment(headers[snapshot].time, zone)),
            Cell(headers[snapshot].node or "-"),
            Cell(", ".join(marks.get(snapshot, ())) or "-"),
            Cell(headers[snapshot].summary),
        )
        for snapshot in newest_first(headers)
    )
    return table("SNAPSHOT TIME NODE NOTE CHANGE", rows, color=color) or EMPTY


def moment(time: float, zone: tzinfo) -> str:
    """Return a unix time as people read it in `zone`."""
    try:
        return datetime.fromtimestamp(time, zone).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):  # the end of the last year that a manifest may have
        return "?"
