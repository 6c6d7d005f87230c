"""The conflicts of this node: found in its history, told once, taken off the list by a person."""

import logging
from collections.abc import Mapping
from typing import Final

from sidecar.core.history.change import printable
from sidecar.core.history.conflicts import Conflict, conflicts, merges
from sidecar.core.history.merge import Overridden, UnknownTreeError, overridden
from sidecar.core.history.snapshot import Tree
from sidecar.sync.decisions import Decisions
from sidecar.sync.past import Past
from sidecar.sync.store import History

Found = Mapping[str, tuple[Overridden, ...]]
"""What merges have overridden, by their ids."""

Cleared = Mapping[str, tuple[str, ...]]
"""The paths that a person took off the list, by id of the merge."""

_LOGGED: Final = 10
"""Conflicts of a merge that are logged one by one."""

log = logging.getLogger("sync")


def find(history: History, head: str | None, most: int, known: Found) -> Found:
    """Return what the merges that a head comes from have overridden; reuse what is `known`.

    A merge is left out if a manifest that this needs is missing. Blocks.
    """
    headers, past = history.headers(), Past(history)
    found = {}
    for name in merges(headers, head, most) if head else ():
        if name in known:
            found[name] = known[name]
        elif (merge := past.get(name)) is not None:
            try:
                found[name] = overridden(merge, history.graph(), past)
            except UnknownTreeError:
                continue
    return found


class Conflicts:
    """Knows the conflicts. Its methods block; what it shows may be read at any time.

    Given: the history, what a person has decided, how many snapshots are kept, and the head: an
    earlier start has logged and counted what merges up to it have overridden.
    """

    def __init__(self, history: History, decisions: Decisions, keep: int, head: str | None) -> None:
        self._history, self._decisions, self._keep = history, decisions, keep
        self._told = frozenset(merges(history.headers(), head, keep) if head else ())
        self._found: Found = {}
        self._seen: tuple[str | None, Cleared] | None = None
        self.left: tuple[Conflict, ...] = ()
        """Those that nobody has resolved."""
        self.paths: tuple[str, ...] = ()
        """The paths in conflict, each once."""
        self.count = 0
        """Paths that merges have overridden since the start."""

    def look_again(self) -> None:
        """Make the next look search again: older snapshots may have arrived."""
        self._seen = None

    def look(self, head: str | None, tree: Tree) -> None:
        """Find those that are left for a head with that tree, and tell of new ones."""
        cleared = self._decisions.state.cleared
        if self._seen == (head, cleared):
            return
        self._found = find(self._history, head, self._keep, self._found)
        self._set(conflicts(self._found, tree, self._history.headers(), cleared))
        self._seen = head, cleared
        new = self._found.keys() - self._told
        self._told |= new
        self.count += sum(len(self._found[merge]) for merge in new)
        fresh = [one for one in self.left if one.merge in new]
        for one in fresh[:_LOGGED]:
            _tell(one)
        if fresh[_LOGGED:]:
            log.warning("%d more conflicts: see `ha conflicts`", len(fresh) - _LOGGED)

    def clear(self, path: str) -> None:
        """Take a path off the list: what is live stays so."""
        before = self._decisions.state.cleared
        new = {one.merge for one in self.left if one.path == path}
        self._set(tuple(one for one in self.left if one.path != path))
        self._decisions.clear(
            {
                merge: tuple(sorted({*before.get(merge, ()), *({path} if merge in new else ())}))
                for merge in self._found
                if merge in before or merge in new
            }
        )

    def _set(self, left: tuple[Conflict, ...]) -> None:
        self.left, self.paths = left, tuple(dict.fromkeys(one.path for one in left))


def _tell(one: Conflict) -> None:
    log.warning(
        "%s was edited on two nodes independently; to get the other version: ha restore %s %s",
        printable(one.path),
        one.other.snapshot[:12],
        printable(one.path),
    )
