"""Three-way merge of diverged snapshots: by path, deterministic, the same on every node.

            ┌─ first ──┐     changed on one side ──────► that side's
      base ─┤          ├─    deleted and edited ───────► the edit
            └─ second ─┘     edited on both sides ─────► the later side's; the other is overridden

The base is itself the merge of all maximal common ancestors, as in git's recursive strategy. The
later side is the one with the later (time, id), and the same for all paths of a merge, so that a
certificate and its key stay together. But a version that the other side has had there, and has
replaced, always loses: nothing wins over what came after it. Of more than two heads each two are
compared: what loses to one of the others is out.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from sidecar.core.history.change import different
from sidecar.core.history.graph import Graph
from sidecar.core.history.past import Past
from sidecar.core.history.snapshot import (
    Entry,
    Header,
    Kind,
    Snapshot,
    Tree,
    Version,
    parents_of,
)
from sidecar.core.words import counted

_SUMMARY: Final = "merged what was changed at the same time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overridden:
    """A file or a link that a merge did not take: it stays in the history."""

    path: str
    snapshot: str
    """Id of the head that has it."""
    winner: str
    """Id of the head whose version was taken."""
    taken: Entry | None
    """That version; None where something else took the path's place."""


class UnknownTreeError(LookupError):
    """A merge needs a snapshot of which only the header is left, or not even that."""


def merge(heads: Collection[str], graph: Graph, past: Past) -> Snapshot:
    """Merge related snapshots of which none descends from another.

    `past` should have the heads and all their ancestors: raise UnknownTreeError if one is missing
    that is needed as a base.
    """
    merger = _Merger(graph, past)
    parents = tuple(sorted(heads))
    tree = merger.unite(parents)
    edited = len({one.path for one in merger.overridden(parents, tree)})
    words = f"; {counted(edited, 'path')} edited on both sides"
    found = {head: merger.snapshot(head) for head in parents}
    return _union(found, tree, f"{_SUMMARY}{words if edited else ''}")


def join(snapshots: Mapping[str, Snapshot]) -> Snapshot:
    """Return what unites heads with the same tree (by id): the same snapshot on every node."""
    tree = next(iter(snapshots.values())).tree
    return _union(snapshots, tree, "joined histories with the same files")


def _union(heads: Mapping[str, Snapshot], tree: Tree, summary: str) -> Snapshot:
    """Return a snapshot that follows all heads and that nobody in particular has made."""
    return Snapshot(
        roots=next(iter(heads.values())).roots,
        tree=tree,
        parents=tuple(sorted(heads)),
        time=max(head.time for head in heads.values()),
        summary=summary,
    )


def overrides(header: Header) -> bool:
    """Tell whether a snapshot is a merge that did not take all that was edited."""
    return not header.node and header.summary.startswith(f"{_SUMMARY};")


def overridden(merged: Snapshot, graph: Graph, past: Past) -> tuple[Overridden, ...]:
    """Return what a merge did not take, by path.

    `past` should have its parents and their merge bases: raise UnknownTreeError if one is missing.
    """
    found = _Merger(graph, past).overridden(merged.parents, merged.tree)
    return tuple(sorted(found, key=lambda one: (one.path, one.snapshot)))


@dataclass(frozen=True, slots=True)
class _Merger:
    graph: Graph
    past: Past

    def snapshot(self, head: str) -> Snapshot:
        """Return a snapshot that a merge cannot do without."""
        snapshot = self.past.get(head)
        if snapshot is None:
            raise UnknownTreeError(head)
        return snapshot

    def unite(self, heads: Collection[str]) -> Tree:
        """Merge heads by path; without any the tree is empty."""
        trees = {head: self.snapshot(head).tree for head in self._latest_first(heads)}
        if len(trees) < 2:
            return next(iter(trees.values()), {})
        first, *others = trees.values()
        paths = set[str]().union(*(different(first, other) for other in others))
        contest = _Contest(trees, self._bases(trees), self.graph, self.past)
        contest.remember(paths)
        tree = {path: entry for path, entry in first.items() if path not in paths}
        tree.update(contest.winners(paths))
        contest.make_room(tree)
        return tree

    def overridden(self, heads: tuple[str, ...], tree: Tree) -> Iterator[Overridden]:
        """Return the versions that heads have edited since they diverged, and `tree` lacks."""
        trees = {head: self.snapshot(head).tree for head in heads}
        told: set[Version] = set()
        for head, mine in trees.items():
            others = tuple(one for one in heads if one != head)
            base = self.unite(self._common(head, others))
            for path in different(mine, tree):
                version, taken = mine.get(path), tree.get(path)
                if version in (None, base.get(path)) or version.kind is Kind.DIRECTORY:
                    continue
                if (path, version) not in told:
                    told.add((path, version))
                    winners = (one for one in others if trees[one].get(path) == taken)
                    winner = next(winners, others[0])
                    yield Overridden(path=path, snapshot=head, winner=winner, taken=taken)

    def _latest_first(self, heads: Collection[str]) -> list[str]:
        return sorted(heads, key=lambda head: (self.snapshot(head).time, head), reverse=True)

    def _bases(self, heads: Collection[str]) -> dict[tuple[str, str], Tree]:
        """Return the base of each two heads, in both orders."""
        known: dict[frozenset[str], Tree] = {}
        found: dict[tuple[str, str], Tree] = {}
        for one, other in combinations(heads, 2):
            common = self._common(one, (other,))
            if common not in known:
                known[common] = self.unite(common)
            found[one, other] = found[other, one] = known[common]
        return found

    def _common(self, head: str, others: Collection[str]) -> frozenset[str]:
        """Return the last snapshots that a head and others have in common.

        Merges of the same heads differ where the nodes that made them kept different pasts, and
        each node would take the other's, in turn, for ever: the one with the lowest id counts as
        the base of the others.
        """
        strangers = [one for one in others if not self._are_twins(one, head)]
        if not strangers:
            return frozenset({min(head, *others)})
        return self.graph.merge_bases((head,), strangers)

    def _are_twins(self, one: str, other: str) -> bool:
        """Tell whether two nodes merged the same heads."""
        alike = self.graph.parents[one] == self.graph.parents[other]
        return alike and not self.past.made(one) and not self.past.made(other)


class _Contest:
    """Whose version of a path is taken.

    Given: the heads' trees, the latest first, the base of each two, and what came before.
    """

    def __init__(
        self,
        trees: Mapping[str, Tree],
        bases: Mapping[tuple[str, str], Tree],
        graph: Graph,
        past: Past,
    ) -> None:
        self._trees, self._bases, self._graph, self._past = trees, bases, graph, past
        self._pasts = {head: graph.ancestors(head) for head in trees}
        self._common = frozenset.intersection(*self._pasts.values())
        self._since = {
            (one, other): (self._pasts[one] | {one}) - self._pasts[other] - {other}
            for one, other in bases
        }
        """A head and those of its ancestors that another one has not."""
        self._had: dict[Version, set[str]] = {}
        """By path and version of a head: the ancestors that have it there."""

    def remember(self, paths: Collection[str]) -> None:
        """Learn where the versions of paths that differ have been before.

        Of what all heads have in common only the newest is read, unless the rest matters.
        """
        apart = frozenset[str]().union(*self._pasts.values()) - self._common
        newest = frozenset[str]().union(*map(self._from, (*apart, *self._trees)))
        self._read(paths, apart | newest)
        if any(map(self._disputed, paths)) or any(map(self._was_elsewhere, paths)):
            self._read(paths, self._common)

    def winners(self, paths: Collection[str]) -> Iterator[Version]:
        """Give what is taken of paths that differ: of what loses to no other the latest.

        Where each of more than two heads loses to another, what somebody has replaced is out.
        """
        for path in paths:
            left = self._left(path, self._loses) or self._left(path, self._is_replaced)
            versions = (self._trees[head].get(path) for head in left or self._trees)
            if (entry := next(filter(None, versions), None)) is not None:
                yield path, entry

    def make_room(self, tree: dict[str, Entry]) -> None:
        """Make each path of what is taken lie in directories again.

        A head has removed a directory, or put a file or a link in its place, and another has
        changed something in it: what was removed comes back, else the later one stays.
        """
        for path in sorted(tree):
            for parent in reversed([*parents_of(path)]):
                found = [one for old in self._trees.values() if (one := old.get(parent))]
                directory = next((one for one in found if one.kind is Kind.DIRECTORY), None)
                here = tree.get(parent)
                if directory is None or (here is not None and here.kind is Kind.DIRECTORY):
                    continue
                if (
                    here is not None
                    and found.index(here) < found.index(directory)
                    and not self._gives_way(parent, here)
                ):
                    del tree[path]
                    break
                tree[parent] = directory

    def _gives_way(self, path: str, entry: Entry) -> bool:
        """Tell whether heads with a directory at a path have replaced what others have there."""
        there = {head: one for head, tree in self._trees.items() if (one := tree.get(path))}
        directories = [head for head, one in there.items() if one.kind is Kind.DIRECTORY]
        return all(
            any(self._is_old(path, head, other) for other in directories)
            for head, one in there.items()
            if one == entry
        )

    def _left(self, path: str, loses: Callable[[str, str, str], bool]) -> list[str]:
        beaten = {one for one, other in self._bases if loses(path, one, other)}
        return [head for head in self._trees if head not in beaten]

    def _read(self, paths: Collection[str], names: Collection[str]) -> None:
        wanted = {
            (path, tree[path]) for tree in self._trees.values() for path in paths if path in tree
        }
        for name in names:
            for version in self._past.having(name, wanted):
                self._had.setdefault(version, set()).add(name)

    def _disputed(self, path: str) -> bool:
        return any(
            len({self._trees[one].get(path), self._trees[other].get(path), base.get(path)}) == 3
            for (one, other), base in self._bases.items()
        )

    def _was_elsewhere(self, path: str) -> bool:
        return any(
            not self._places(path, head).isdisjoint(self._since[other, head])
            for head, other in self._bases
        )

    def _loses(self, path: str, head: str, other: str) -> bool:
        """Tell whether another head's version comes after that of `head`."""
        mine, theirs = self._trees[head].get(path), self._trees[other].get(path)
        if mine == theirs:
            return False
        base = self._bases[head, other].get(path)
        if mine == base:
            return not self._is_old(path, other, head)
        if theirs == base:
            return self._is_old(path, head, other)
        return not self._places(path, head).isdisjoint(self._pasts[other])

    def _is_old(self, path: str, head: str, other: str) -> bool:
        """Tell whether what a head alone brings is what another has replaced since they diverged.

        Not so if both had it before and somebody chose it here: he knew what he did.
        """
        places = self._places(path, head)
        if (places & self._pasts[head]).isdisjoint(self._pasts[other]):
            return not places.isdisjoint(self._since[other, head])
        here = self._since[head, other] & (places | {head})
        chosen = any(self._is_chosen(one, places) for one in here)
        return not chosen and self._is_replaced(path, head, other)

    def _is_chosen(self, one: str, places: Collection[str]) -> bool:
        """Tell whether a snapshot has gone back to a version, or a person took it of several."""
        had = [parent in places for parent in self._from(one)]
        return not any(had) or (self._past.made(one) and not all(had))

    def _is_replaced(self, path: str, head: str, other: str) -> bool:
        """Tell whether a person, not only a merge, has replaced a head's version elsewhere."""
        places = self._places(path, head)
        return any(
            not places.isdisjoint(self._from(one)) and self._past.made(one)
            for one in self._since[other, head] - places
        )

    def _from(self, one: str) -> Collection[str]:
        return self._graph.parents.get(one, ())

    def _places(self, path: str, head: str) -> set[str]:
        entry = self._trees[head].get(path)
        return set() if entry is None else self._had.get((path, entry), set())
