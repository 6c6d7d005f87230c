"""`ha diff`: what differs between two states of the folders."""

from collections.abc import Iterator

from sidecar.commands.context import Context
from sidecar.commands.snapshots import complete, history_of
from sidecar.core.history.exclude import DEFAULT_EXCLUDE
from sidecar.core.settings import Settings
from sidecar.errors import ExitCode, RefusedError
from sidecar.sync.compare import Side, difference, kept, live
from sidecar.sync.lookup import lookup
from sidecar.sync.scan import scan
from sidecar.sync.store import History


def run(context: Context, *, first: str | None, second: str | None) -> int:
    """Print it: of two snapshots, of a snapshot and its parents, or of head and the folders."""
    settings = context.loaded().settings
    history = history_of(context)
    snapshots = [lookup(history, name) for name in (first, second) if name is not None]
    for snapshot in snapshots:
        complete(context, history, snapshot)
    match snapshots:
        case [old, new]:
            lines = _between(history, old, new)
        case [new]:
            lines = _from_parents(context, history, new)
        case _:
            head = _side(history, history.head())
            lines = difference(head, _live(settings), settings.sync_paths)
    for line in lines:
        print(line)
    return ExitCode.DONE


def _from_parents(context: Context, history: History, snapshot: str) -> Iterator[str]:
    parents = history.get(snapshot).parents
    if not parents:
        yield from _between(history, None, snapshot)
    for parent in parents:
        complete(context, history, parent)
        if parents[1:]:
            yield f"since {parent[:12]}:"
        yield from _between(history, parent, snapshot)


def _between(history: History, old: str | None, new: str) -> Iterator[str]:
    return difference(_side(history, old), _side(history, new), history.get(new).roots)


def _side(history: History, snapshot: str | None) -> Side:
    return kept(history.get(snapshot).tree if snapshot else {}, history)


def _live(settings: Settings) -> Side:
    """Return the folders as they are now."""
    exclude = (*DEFAULT_EXCLUDE, *settings.sync_exclude)
    found = scan(settings.sync_paths, exclude=exclude, known={})
    if found.refused:
        refusal = found.refused[0]
        raise RefusedError(
            f"cannot compare the folders: {refusal.path}: {refusal.cause}", refusal.hint
        )
    if found.busy:
        raise RefusedError(f"cannot compare the folders: {found.busy} is changing", "try again")
    return live(found.tree, settings.sync_paths)
