"""The conflicts as people see them: both versions, and how to choose."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from sidecar.core.history.change import name
from sidecar.core.history.conflicts import Conflict, Version
from sidecar.core.show.table import Cell, Colour, table
from sidecar.core.show.timeline import moment

NONE: Final = "No conflicts."

_HELP: Final = """
See both versions:          ha diff OTHER LIVE
Bring the other one back:   ha restore OTHER PATH
Keep the one that is live:  ha conflicts --clear PATH"""


def conflicts_text(
    conflicts: Sequence[Conflict], roots: Sequence[str], zone: tzinfo, *, color: bool
) -> str:
    """Return a table of conflicts with what to do about them, with times in `zone`."""
    rows = (
        (
            Cell(name(one.path, roots), Colour.WARN),
            *_cells(one.other, zone),
            *_cells(one.live, zone),
        )
        for one in conflicts
    )
    shown = table("PATH OTHER TIME NODE LIVE TIME NODE", rows, color=color)
    return f"{shown}\n{_HELP}" if shown else NONE


def _cells(version: Version, zone: tzinfo) -> tuple[Cell, Cell, Cell]:
    time = Cell(moment(version.time, zone))
    return Cell(version.snapshot[:12]), time, Cell(version.node or "-")
