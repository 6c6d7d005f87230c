"""What a node does next about its peers' configurations: one step at a time, or none.

Nothing is ever lost: a node only goes to a snapshot that descends from its own, if need be to one
that merges both, or to any if it has nothing that a person wrote. All else is held, named, and
served as before.

    peers' heads ── not here ──────────────────────► Fetch
         │
         ├── mine descends from it, or is it ──────► nothing: the peer moves
         ├── it descends from mine, or I have
         │   only stock files ── draft ────────────► held
         │                    └───────────────────► FastForward
         ├── neither, and equal trees ─────────────► Join
         ├── neither, with a common ancestor ──────► Merge, then to that as to a peer's head
         ├── no common ancestor, and all that one
         │   has was once in the other's history ─► that one yields
         ├── or most of it, and its node was there ► that one yields, and what it had is named
         └── else no common ancestor ──────────────► held: `unrelated`
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from sidecar.core.history.change import Change, ChangeKind, name
from sidecar.core.history.graph import Graph, Relation
from sidecar.core.history.guard import Rules, is_stock
from sidecar.core.history.snapshot import Kind, Snapshot, Tree
from sidecar.core.sync_report import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bring a snapshot here with its objects, and the manifests of its ancestors."""

    node: str
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FastForward:
    """Apply a snapshot; it becomes the head if this node can serve it."""

    snapshot: str
    leaves: bool = False
    """The own head has files that nobody else knows: a person has to hear of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Make `join` of these heads, which have the same tree, the head; there is nothing to apply."""

    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Merge heads that have diverged, and add the result to the facts."""

    heads: tuple[str, ...]


Step = Fetch | FastForward | Join | Merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a node knows at a moment."""

    now: float
    """Unix time in seconds."""
    head: str | None
    """None before the first snapshot."""
    peers: Mapping[str, str | None]
    """Heads of the linked peers by node, in the order in which they are asked."""
    graph: Graph
    snapshots: Mapping[str, Snapshot]
    """The own head, and the peers' heads whose `Fetch` succeeded since the start: an older one may
    have been cut before the ancestors came."""
    draft: tuple[Change, ...] = ()
    """Differences of the live tree from the own head (from nothing before the first)."""
    pending: bool = False
    """They are tried soon, and have not been: nobody needs to do anything about them."""
    rejected: Mapping[str, float] = field(default_factory=dict)
    """Snapshots that could not be used here: unix time from which each is tried again."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why not, in the words of what refused it."""
    past: Mapping[str, Snapshot] = field(default_factory=dict)
    """All snapshots whose tree is still here."""
    merges: Mapping[tuple[str, ...], str | None] = field(default_factory=dict)
    """Id of the snapshot that merges these heads; None if they cannot be merged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step, if any, and all that waits for a person."""

    step: Step | None = None
    holds: tuple[Hold, ...] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Heads that a person may choose instead of this node's own, with their nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apart:
    """Heads that cannot be merged with this node's own one."""

    reason: str
    heads: Mapping[str, Sequence[str]]
    """With their nodes."""

    @property
    def hold(self) -> Hold:
        """Return it as people see it."""
        nodes = _names(self.heads)
        what = "they cannot be merged" if self.reason == "diverged" else "each has files of its own"
        theirs = ", ".join(f"`ha sync adopt {some[0]}`" for some in self.heads.values())
        return Hold(
            reason=self.reason,
            message=f"{nodes} and this node hold different configurations: {what}; "
            "each serves its own, and all are kept",
            hint="choose one for every node: `ha sync adopt mine` keeps this node's, "
            f"{theirs} takes that node's",
        )


def _names(heads: Mapping[str, Sequence[str]]) -> str:
    """Return the nodes of heads in words, each once."""
    return " and ".join(sorted({node for some in heads.values() for node in some}))


_MOST_PARTS: Final = 8

_Verdict = FastForward | Join | Merge | Hold | _Apart


def reconcile(facts: Facts, rules: Rules) -> Plan:
    """Return what to do next; ask again after each step."""
    others = _others(facts)
    if not others:
        return Plan()
    fetches = [
        Fetch(node=nodes[0], snapshot=snapshot)
        for snapshot, nodes in others.items()
        if snapshot not in facts.snapshots
    ]
    known = {snapshot: nodes for snapshot, nodes in others.items() if snapshot in facts.snapshots}
    equal = frozenset(snapshot for snapshot in known if _joins(snapshot, facts))
    diverged = {one: known[one] for one in known.keys() - equal if _diverged(one, facts, rules)}
    verdicts: list[_Verdict | None] = [
        *(
            _judge(snapshot, known[snapshot], facts, rules)
            for snapshot in _newest_first(known.keys() - equal - diverged.keys(), facts, rules)
        ),
        *_join(equal, facts),
        *_merge(diverged, facts, rules),
    ]
    steps = [verdict for verdict in verdicts if isinstance(verdict, FastForward | Join | Merge)]
    apart = [verdict for verdict in verdicts if isinstance(verdict, _Apart)]
    holds = [verdict for verdict in verdicts if isinstance(verdict, Hold)]
    return Plan(
        step=next(iter((*fetches, *steps)), None),
        holds=(*holds, *(one.hold for one in apart)),
        choices={head: nodes for one in apart for head, nodes in one.heads.items()},
    )


def _others(facts: Facts) -> dict[str, list[str]]:
    """Return the peers' heads that are news to this node, each with its nodes."""
    result: dict[str, list[str]] = {}
    for node, snapshot in facts.peers.items():
        if snapshot is not None and _relation(snapshot, facts) not in _NOTHING_NEW:
            result.setdefault(snapshot, []).append(node)
    return result


_NOTHING_NEW = frozenset({Relation.SAME, Relation.AHEAD})


def _relation(theirs: str, facts: Facts) -> Relation:
    """Return how this node stands to a head; without one of its own it is behind any."""
    return Relation.BEHIND if facts.head is None else facts.graph.relation(facts.head, theirs)


def _newest_first(snapshots: Iterable[str], facts: Facts, rules: Rules) -> list[str]:
    """Sort heads so that descendants come before their ancestors, and stock last."""
    if len(known := list(snapshots)) < 2:
        return known

    def rank(snapshot: str) -> tuple[bool, int, float, str]:
        value = facts.snapshots[snapshot]
        written = not is_stock(value.tree, rules)
        return written, len(facts.graph.ancestors(snapshot)), value.time, snapshot

    return sorted(known, key=rank, reverse=True)


def _joins(theirs: str, facts: Facts) -> bool:
    """Tell whether a head has the own tree and another history."""
    if facts.head is None or _relation(theirs, facts) is Relation.BEHIND:
        return False
    mine, other = facts.snapshots[facts.head], facts.snapshots[theirs]
    return mine.tree == other.tree and mine.roots == other.roots


def _join(equal: frozenset[str], facts: Facts) -> Iterator[Join]:
    if equal and facts.head is not None:
        yield Join(parents=tuple(sorted(facts.graph.heads(equal | {facts.head}))))


def _diverged(theirs: str, facts: Facts, rules: Rules) -> bool:
    """Tell whether a head and this node's own one are to be merged."""
    if facts.head is None or _relation(theirs, facts) is not Relation.DIVERGED:
        return False
    return facts.snapshots[facts.head].roots == facts.snapshots[theirs].roots == rules.roots


def _merge(diverged: Mapping[str, Sequence[str]], facts: Facts, rules: Rules) -> Iterator[_Verdict]:
    """Merge all at once: so every node that knows the same heads makes the same snapshot.

    If that cannot be, or is refused, merge with one head after the other, and with what these were
    merged of: what fits together waits for nothing else.
    """
    if not diverged or facts.head is None:
        return
    whole = _heads(diverged, facts)
    apart = whole in facts.merges and facts.merges[whole] is None
    if not apart or len(diverged) == 1:
        yield from _unite(diverged, facts, rules)
    if not apart and facts.merges.get(whole) not in facts.reasons:
        return
    for head in sorted(diverged):
        found = _unite({head: diverged[head]}, facts, rules) if len(diverged) > 1 else ()
        yield from (one for one in found if apart or not isinstance(one, Hold | _Apart))
    for part in _parts(diverged, facts):
        found = _unite({part: _nodes_of(diverged)}, facts, rules)
        yield from (one for one in found if not isinstance(one, Hold | _Apart))


def _parts(heads: Iterable[str], facts: Facts) -> list[str]:
    """Return what heads were merged of by themselves, and this node's head does not have."""
    assert facts.head is not None
    mine = facts.graph.with_ancestors(facts.head)
    found: list[str] = []
    pending = sorted(heads)
    for one in pending:
        snapshot = facts.past.get(one)
        if snapshot is not None and not snapshot.node and len(found) < _MOST_PARTS:
            new = [it for it in snapshot.parents if it not in mine and it not in pending]
            found += new
            pending += new
    return found


def _nodes_of(heads: Mapping[str, Sequence[str]]) -> list[str]:
    return [node for some in heads.values() for node in some]


def _heads(diverged: Collection[str], facts: Facts) -> tuple[str, ...]:
    assert facts.head is not None
    return tuple(sorted(facts.graph.heads({*diverged, facts.head})))


def _unite(diverged: Mapping[str, Sequence[str]], facts: Facts, rules: Rules) -> Iterator[_Verdict]:
    """Merge heads with the own one, and go to that."""
    heads, nodes = _heads(diverged, facts), _names(diverged)
    if heads not in facts.merges:
        yield Merge(heads=heads)
        return
    merged = facts.merges[heads]
    if merged is None:
        yield _Apart(reason="diverged", heads=diverged)
        return
    if merged in facts.reasons:
        yield Hold(
            reason="merge-refused",
            message=f"{nodes} and this node were edited independently, and both edits together "
            f"are refused: {facts.reasons[merged]}; each serves its own",
            hint=f"correct the file on one of them: `ha diff {merged[:12]}` shows the merge",
        )
    if verdict := _advance(merged, nodes, facts, rules):
        yield verdict


def _judge(theirs: str, names: Sequence[str], facts: Facts, rules: Rules) -> _Verdict | None:
    """Return what to do about a head that is here."""
    other, nodes = facts.snapshots[theirs], " and ".join(names)
    if other.roots != rules.roots:
        return Hold(
            reason="paths-differ",
            message=f"{nodes} syncs {', '.join(other.roots)}, this node {', '.join(rules.roots)}",
            hint="set HA_SYNC_PATHS to the same list on every node",
        )
    leaves = False
    if facts.head is not None and _relation(theirs, facts) is not Relation.BEHIND:
        mine = facts.snapshots[facts.head]
        if _relation(theirs, facts) is Relation.DIVERGED:
            return _Apart(reason="diverged", heads={theirs: names})
        if not is_stock(mine.tree, rules) and not is_stock(other.tree, rules):
            my_loss, their_loss = (
                _losses(one, another, facts, rules)
                for one, another in ((facts.head, theirs), (theirs, facts.head))
            )
            if my_loss == their_loss:
                return _Apart(reason="unrelated", heads={theirs: names})
            if my_loss < their_loss:
                return None
            leaves = my_loss is _Loss.STATE
        elif not _yields(facts.head, theirs, facts, rules):
            return None
    verdict = _advance(theirs, nodes, facts, rules)
    return replace(verdict, leaves=True) if leaves and isinstance(verdict, FastForward) else verdict


class _Loss(IntEnum):
    """How a head looks beside one that is not related to it."""

    NONE = 0
    STATE = 1
    """Its node has lost its history: it has no past, has made a part of the other's, and most of
    its files are in that.
    """
    ALL = 2
    """So are all of its files: it has nothing that the other lacks."""


def _losses(head: str, other: str, facts: Facts, rules: Rules) -> _Loss:
    own = facts.snapshots[head]
    written = {
        (path, entry)
        for path, entry in own.tree.items()
        if entry.kind is not Kind.DIRECTORY and entry.digest not in rules.stock
    }
    unknown, was_there = written, False
    for one in (other, *facts.graph.ancestors(other)):
        if not unknown:
            break
        if (snapshot := facts.past.get(one)) is not None:
            unknown = {(path, entry) for path, entry in unknown if snapshot.tree.get(path) != entry}
            was_there = was_there or snapshot.node == own.node
    if not unknown:
        return _Loss.ALL
    lost = was_there and not own.parents and 2 * len(unknown) < len(written)
    return _Loss.STATE if lost else _Loss.NONE


def _yields(mine: str, theirs: str, facts: Facts, rules: Rules) -> bool:
    """Tell which of two unrelated nodes, one or both with stock files only, takes the other's."""
    my, their = facts.snapshots[mine], facts.snapshots[theirs]
    if is_stock(my.tree, rules) and is_stock(their.tree, rules):
        return (my.time, mine) < (their.time, theirs)
    return is_stock(my.tree, rules)


def _advance(theirs: str, nodes: str, facts: Facts, rules: Rules) -> FastForward | Hold | None:
    """Return whether nothing stands against going to a head."""
    if facts.now < facts.rejected.get(theirs, facts.now):
        return None
    tree = facts.snapshots[theirs].tree
    blocking = [change for change in facts.draft if not _harmless(change, tree, rules)]
    if blocking and facts.pending:
        return None
    if blocking:
        some = name(blocking[0].path, rules.roots)
        more = f" and {len(blocking) - 1} more" if blocking[1:] else ""
        return Hold(
            reason="draft",
            message=f"{nodes} has a newer configuration, "
            f"but {some}{more} differs here and is not accepted yet",
            hint="correct or undo it on this node: `ha diff` shows what differs",
        )
    return FastForward(snapshot=theirs)


def _harmless(change: Change, target: Tree, rules: Rules) -> bool:
    """Tell whether going to `target` cannot lose what a person did: it has that, or it is stock."""
    if target.get(change.path) == change.new and change.source not in target:
        return True
    if change.kind is not ChangeKind.ADDED or change.new is None:
        return False
    return change.new.kind is Kind.DIRECTORY or change.new.digest in rules.stock
