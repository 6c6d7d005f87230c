"""`ha history`, `ha diff` and `ha export`: what the history holds, also while no daemon runs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from sidecar.core.exclude import DEFAULT_EXCLUDE
from sidecar.core.retention import retained
from sidecar.core.settings import Settings
from sidecar.core.timeline import timeline
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.paths import Paths
from sidecar.sync import decisions
from sidecar.sync.compare import Side, difference, kept, live
from sidecar.sync.export import export
from sidecar.sync.lookup import lookup
from sidecar.sync.scan import scan
from sidecar.sync.store import History

Bring = Callable[[str], None]
"""Lets a running node bring what is missing of a snapshot; raises SidecarError."""


def show(
    settings: Settings, paths: Paths, heads: Mapping[str, str | None], *, color: bool
) -> Iterator[str]:
    """Give the lines of `ha history`; `heads` are those of the peers, by node."""
    history = _history(paths)
    headers = history.headers()
    marks: dict[str, list[str]] = {snapshot: [] for snapshot in headers}
    if head := history.head():
        marks.setdefault(head, []).append("head")
    for node, snapshot in heads.items():
        if snapshot is not None:
            marks.setdefault(snapshot, []).append(f"head of {node}")
    for snapshot in decisions.read(history.directory).rejected:
        marks.setdefault(snapshot, []).append("refused here")
    kept = _kept(history, (head, *heads.values()), settings.sync_keep)
    for snapshot in headers.keys() - history.whole() - kept:
        marks[snapshot].append("files no longer kept")
    for snapshot in history.incomplete(kept):
        marks[snapshot].append("not whole here")
    yield timeline(headers, marks, ZoneInfo(settings.timezone), color=color)


def diff(settings: Settings, paths: Paths, names: Sequence[str], bring: Bring) -> Iterator[str]:
    """Give the lines of `ha diff`.

    Without names: head and the folders as they are; with one: its parents and it; with two: these.
    """
    history = _history(paths)
    snapshots = [lookup(history, name) for name in names]
    for snapshot in snapshots:
        _complete(history, snapshot, bring)
    match snapshots:
        case [old, new]:
            yield from _between(history, old, new)
        case [new]:
            yield from _from_parents(history, new, bring)
        case _:
            head, roots = history.head(), settings.sync_paths
            yield from difference(_side(history, head), _live(settings), roots)


def write(settings: Settings, paths: Paths, name: str, directory: Path, bring: Bring) -> str:
    """Export a snapshot and return the sentence to print."""
    history = _history(paths)
    snapshot = lookup(history, name)
    _complete(history, snapshot, bring)
    count = export(history, history.get(snapshot), directory, settings.sync_paths)
    files = "1 file" if count == 1 else f"{count} files"
    return f"snapshot {snapshot[:12]}, {files}, is in {directory}"


def _history(paths: Paths) -> History:
    return History(paths.state / "history")


def _kept(history: History, heads: Iterable[str | None], most: int) -> frozenset[str]:
    """Return the snapshots that this node keeps with their files."""
    return retained(history.headers(), [head for head in heads if head], most)


def _complete(history: History, snapshot: str, bring: Bring) -> None:
    """Make a snapshot whole, or raise RefusedError."""
    if not history.incomplete([snapshot]):
        return
    try:
        bring(snapshot)
    except SidecarError as error:
        raise RefusedError(
            f"snapshot {snapshot[:12]} is not whole on this node: {error.message}", error.hint
        ) from error


def _from_parents(history: History, snapshot: str, bring: Bring) -> Iterator[str]:
    parents = history.get(snapshot).parents
    if not parents:
        yield from _between(history, None, snapshot)
    for parent in parents:
        _complete(history, parent, bring)
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
