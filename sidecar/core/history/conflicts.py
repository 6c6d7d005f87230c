"""What merges have overridden and nobody has resolved: the same list wherever the head is.

It follows from the history, so it outlives a restart and the nodes need not talk about it. A path
leaves the list when it is restored or edited again, or when a person takes it off on this node.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sidecar.core.history.merge import Overridden, overrides
from sidecar.core.history.retention import graph_of, newest_first
from sidecar.core.history.snapshot import Header, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A snapshot that has a version of a path."""

    snapshot: str
    node: str = ""
    """Empty where that is itself a merge."""
    time: float = 0.0
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A path that two nodes edited independently."""

    path: str
    merge: str
    """Id of the snapshot that took one version of it."""
    other: Version
    """Has the version that was overridden."""
    live: Version
    """Has the one that is live."""


def merges(headers: Mapping[str, Header], head: str, most: int) -> tuple[str, ...]:
    """Return the merges that have overridden something, newest first.

    They are among the newest `most` snapshots that `head` comes from, itself included.
    """
    past = graph_of(headers).with_ancestors(head) & headers.keys()
    newest = newest_first({name: headers[name] for name in past})[:most]
    return tuple(name for name in newest if overrides(headers[name]))


def conflicts(
    overridden: Mapping[str, Sequence[Overridden]],
    tree: Tree,
    headers: Mapping[str, Header],
    cleared: Mapping[str, Collection[str]],
) -> tuple[Conflict, ...]:
    """Return, sorted by path, what is still as a merge left it and was not cleared.

    `overridden` and `cleared` are by id of the merge; `tree` is the head's.
    """
    return tuple(
        Conflict(
            path=one.path,
            merge=merge,
            other=_version(one.snapshot, headers),
            live=_version(one.winner, headers),
        )
        for one, merge in sorted(
            ((one, merge) for merge, found in overridden.items() for one in found),
            key=lambda pair: (pair[0].path, pair[1], pair[0].snapshot),
        )
        if tree.get(one.path) == one.taken and one.path not in cleared.get(merge, ())
    )


def _version(snapshot: str, headers: Mapping[str, Header]) -> Version:
    header = headers[snapshot]
    return Version(snapshot=snapshot, node=header.node, time=header.time)
