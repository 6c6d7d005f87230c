"""`ha export`: the files of a snapshot, in a directory."""

from pathlib import Path

from sidecar.commands.context import Context
from sidecar.commands.snapshots import complete, history_of
from sidecar.core.words import counted
from sidecar.errors import ExitCode
from sidecar.sync.export import export
from sidecar.sync.lookup import lookup


def run(context: Context, *, snapshot: str, directory: Path) -> int:
    """Write them."""
    roots = context.loaded().settings.sync_paths
    history = history_of(context)
    found = lookup(history, snapshot)
    complete(context, history, found)
    count = export(history, history.get(found), directory, roots)
    print(f"wrote snapshot {found[:12]}, {counted(count, 'file')}, to {directory}")
    return ExitCode.DONE
