"""`ha conflicts`: what merges have overridden, also while no daemon runs."""

import json as notation
from zoneinfo import ZoneInfo

from msgspec import to_builtins

from sidecar.commands.context import Context
from sidecar.commands.snapshots import history_of
from sidecar.commands.status import colored
from sidecar.core.history.conflicts import Conflict, conflicts
from sidecar.core.show.conflicts import conflicts_text
from sidecar.errors import ExitCode
from sidecar.sync import decisions
from sidecar.sync.conflicts import find
from sidecar.sync.store import History


def run(context: Context, *, clear: str | None, json: bool) -> int:
    """Print the list, for people or for programs; or take a path off it."""
    if clear is not None:
        print(context.order("clear", {"path": clear}))
        return ExitCode.DONE
    settings = context.loaded().settings
    found = conflicts_of(history_of(context), settings.sync_keep)
    if json:
        print(notation.dumps(to_builtins(found), indent=2))
        return ExitCode.DONE
    zone = ZoneInfo(settings.timezone)
    print(conflicts_text(found, settings.sync_paths, zone, color=colored()))
    return ExitCode.DONE


def conflicts_of(history: History, most: int) -> tuple[Conflict, ...]:
    """Return the conflicts that are left of the newest `most` snapshots."""
    head = history.head()
    snapshot = history.find(head) if head else None
    if snapshot is None:
        return ()
    cleared = decisions.read(history.directory).cleared
    found = find(history, head, most, {})
    return conflicts(found, snapshot.tree, history.headers(), cleared)
