"""The graph of snapshots, as in git: who descends from whom.

Ancestors that are not known (their manifests were dropped after very long, or lie on another node)
are the edge of the graph: their ids are known as parents, what lies behind them is not. A missing
part can make related histories look diverged or unrelated, which holds them; it can never make a
snapshot look like the descendant of one that it does not descend from.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import combinations
from typing import Final

LEAST_DIGITS: Final = 4
"""Hex digits that a person gives at least to name a snapshot."""

_MOST_NAMED: Final = 5

_MOST_PASTS: Final = 16


class Relation(Enum):
    """How my head stands to theirs."""

    SAME = "same"
    BEHIND = "behind"
    """Theirs descends from mine: I can fast-forward."""
    AHEAD = "ahead"
    """Mine descends from theirs: they can fast-forward."""
    DIVERGED = "diverged"
    """Each has something that the other has not, since a common ancestor."""
    UNRELATED = "unrelated"
    """No common ancestor is known."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The parents of all known snapshots, by id."""

    parents: Mapping[str, tuple[str, ...]]
    _pasts: dict[str, frozenset[str]] = field(
        default_factory=dict[str, frozenset[str]], init=False, repr=False, compare=False
    )
    """Ancestors that were asked for: a pass asks for those of the same few heads many times."""

    def ancestors(self, snapshot: str) -> frozenset[str]:
        """Return the ids of all ancestors, the unknown ones at the edge included."""
        past = self._pasts.get(snapshot)
        if past is None:
            past = self._find_ancestors(snapshot)
            if len(self._pasts) >= _MOST_PASTS:
                self._pasts.clear()
            self._pasts[snapshot] = past
        return past

    def _find_ancestors(self, snapshot: str) -> frozenset[str]:
        found: set[str] = set()
        pending = list(self.parents.get(snapshot, ()))
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending.extend(self.parents.get(current, ()))
        return frozenset(found)

    def with_ancestors(self, *snapshots: str) -> frozenset[str]:
        """Return snapshots and all their ancestors, as `ancestors` does."""
        return frozenset(snapshots).union(*map(self.ancestors, snapshots))

    def unknown(self, snapshot: str) -> frozenset[str]:
        """Return the edge below a snapshot: it or its ancestors whose manifest is not here."""
        return frozenset(self.with_ancestors(snapshot) - self.parents.keys())

    def relation(self, mine: str, theirs: str) -> Relation:
        """Return how `mine` stands to `theirs`."""
        if mine == theirs:
            return Relation.SAME
        my_past, their_past = self.ancestors(mine), self.ancestors(theirs)
        if mine in their_past:
            return Relation.BEHIND
        if theirs in my_past:
            return Relation.AHEAD
        return Relation.UNRELATED if my_past.isdisjoint(their_past) else Relation.DIVERGED

    def merge_bases(self, first: Iterable[str], second: Iterable[str]) -> frozenset[str]:
        """Return all maximal common ancestors; a snapshot counts as one of its own."""
        common = self.with_ancestors(*first) & self.with_ancestors(*second)
        # Common ancestors are closed under parents: one is maximal unless it is another's parent.
        return common - {parent for one in common for parent in self.parents.get(one, ())}

    def heads(self, snapshots: Collection[str]) -> frozenset[str]:
        """Return those of `snapshots` that are no ancestors of others of them."""
        past = (self.ancestors(snapshot) for snapshot in snapshots)
        return frozenset(snapshots).difference(*past)

    def generations(self) -> dict[str, int]:
        """Return the length of the longest known way to each known snapshot, oldest first."""
        result: dict[str, int] = {}
        pending = list(self.parents)
        while pending:
            before = [one for one in self.parents[pending[-1]] if one in self.parents]
            if first := [one for one in before if one not in result]:
                pending += first
            else:
                result[pending.pop()] = max((result[one] for one in before), default=-1) + 1
        return result

    def oldest_first(self, snapshots: Iterable[str]) -> list[str]:
        """Return known snapshots so that parents come before their children."""
        generation = self.generations()
        return sorted(snapshots, key=lambda one: (generation[one], one))

    def all_merge_bases(self, heads: Collection[str]) -> frozenset[str]:
        """Return what is needed to merge heads: their merge bases, and the bases of these."""
        found: set[str] = set()
        pending = [frozenset(heads)]
        while pending:
            group = pending.pop()
            for one, other in combinations(sorted(group), 2):
                bases = self.merge_bases((one,), (other,))
                if not bases <= found and bases != group:
                    pending.append(bases)
                found |= bases
        return frozenset(found)


def resolve(prefix: str, ids: Iterable[str]) -> str:
    """Return the one of `ids` that begins with `prefix`; raise ValueError if there is not one."""
    begin = prefix.lower()
    if len(begin) < LEAST_DIGITS or not frozenset(begin) <= frozenset("0123456789abcdef"):
        raise ValueError(f"expected the first hex digits of a snapshot, at least {LEAST_DIGITS}")
    found = sorted(one for one in ids if one.startswith(begin))
    if not found:
        raise ValueError(f"no snapshot starts with {begin}")
    if found[1:]:
        more = " …" if found[_MOST_NAMED:] else ""
        raise ValueError(f"it could be {', '.join(one[:16] for one in found[:_MOST_NAMED])}{more}")
    return found[0]
