"""Shows what differs between two states of the folders, line by line."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.history.change import (
    MAX_DIFF,
    Change,
    changes,
    compare,
    describe,
    name,
    too_large,
)
from sidecar.core.history.snapshot import Entry, Kind, Tree
from sidecar.errors import SidecarError
from sidecar.sync.live import READ, Live
from sidecar.sync.store import History

Read = Callable[[str, Entry], bytes]
"""Returns the content of a file that is not large; raises OSError or SidecarError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two states."""

    tree: Tree
    read: Read


def kept(tree: Tree, history: History) -> Side:
    """Return a state whose contents are in the history."""
    return Side(tree=tree, read=lambda _path, entry: history.read(entry.digest))


def live(tree: Tree, roots: Sequence[str]) -> Side:
    """Return the state that was just scanned."""
    folders = Live(roots)

    def read(path: str, _entry: Entry) -> bytes:
        with folders.place(path) as (parent, file_name):
            descriptor = os.open(file_name, READ, dir_fd=parent)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_DIFF)

    return Side(tree=tree, read=read)


def difference(old: Side, new: Side, roots: Sequence[str]) -> Iterator[str]:
    """Give the lines of `ha diff`: first what happened to each path, then the texts."""
    found = changes(old.tree, new.tree)
    if not found:
        yield "nothing differs"
    yield from describe(found, roots)
    for change in found:
        lines = _contents(change, old, new, roots)
        yield from ("", *lines) if lines else ()


def _contents(change: Change, old: Side, new: Side, roots: Sequence[str]) -> Sequence[str]:
    title = name(change.path, roots)
    before, after = _file(change.old), _file(change.new)
    if (before and before.digest) == (after and after.digest):
        return ()
    sizes = (before.size if before else 0, after.size if after else 0)
    if max(sizes) > MAX_DIFF:
        return (too_large(title, *sizes),)
    try:
        first = old.read(change.path, before) if before else b""
        second = new.read(change.path, after) if after else b""
    except OSError as error:
        return (f"{title}: cannot be read: {error.strerror}",)
    except SidecarError as error:
        return (f"{title}: {error.message}",)
    return compare(change.path, first, second, roots)


def _file(entry: Entry | None) -> Entry | None:
    return entry if entry is not None and entry.kind is Kind.FILE else None
