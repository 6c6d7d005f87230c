"""What a node does next about its peers' configurations: one step at a time, or none.

Nothing is ever lost: a node only goes to a snapshot that descends from its own, or to any if it has
nothing that a person wrote. All else is held, named, and served as before.

    peers' heads ── not here ──────────────────────► Fetch
         │
         ├── mine descends from it, or is it ──────► nothing: the peer moves
         ├── it descends from mine, or I have
         │   only stock files ── draft ────────────► held
         │                    └───────────────────► FastForward
         ├── neither, and equal trees ─────────────► Join
         └── neither ──────────────────────────────► held: `diverged` or `unrelated`
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.core.change import Change, ChangeKind, name
from sidecar.core.graph import Graph, Relation
from sidecar.core.guard import Rules, is_stock
from sidecar.core.snapshot import Kind, Snapshot, Tree
from sidecar.core.sync import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bring a snapshot here with its objects, and the manifests of its ancestors."""

    node: str
    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FastForward:
    """Apply a snapshot; it becomes the head if this node can serve it."""

    snapshot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Make `join` of these heads, which have the same tree, the head; there is nothing to apply."""

    parents: tuple[str, ...]


Step = Fetch | FastForward | Join


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
    rejected: Mapping[str, float] = field(default_factory=dict)
    """Snapshots that could not be used here: unix time from which each is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next step, if any, and all that waits for a person."""

    step: Step | None = None
    holds: tuple[Hold, ...] = ()


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
    verdicts = [
        _judge(snapshot, " and ".join(known[snapshot]), facts, rules)
        for snapshot in _newest_first(known.keys() - equal, facts, rules)
    ]
    forwards = [verdict for verdict in verdicts if isinstance(verdict, FastForward)]
    steps: Iterable[Step] = (*fetches, *forwards, *_join(equal, facts))
    holds = tuple(verdict for verdict in verdicts if isinstance(verdict, Hold))
    return Plan(step=next(iter(steps), None), holds=holds)


def join(snapshots: Mapping[str, Snapshot]) -> Snapshot:
    """Return what unites heads with the same tree (by id): the same snapshot on every node."""
    some = next(iter(snapshots.values()))
    return Snapshot(
        roots=some.roots,
        tree=some.tree,
        parents=tuple(sorted(snapshots)),
        time=max(snapshot.time for snapshot in snapshots.values()),
        summary="joined histories with the same files",
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
    generation = facts.graph.generations()

    def rank(snapshot: str) -> tuple[bool, int, float, str]:
        value = facts.snapshots[snapshot]
        written = not is_stock(value.tree, rules)
        return written, generation[snapshot], value.time, snapshot

    return sorted(snapshots, key=rank, reverse=True)


def _joins(theirs: str, facts: Facts) -> bool:
    """Tell whether a head has the own tree and another history."""
    if facts.head is None or _relation(theirs, facts) is Relation.BEHIND:
        return False
    mine, other = facts.snapshots[facts.head], facts.snapshots[theirs]
    return mine.tree == other.tree and mine.roots == other.roots


def _join(equal: frozenset[str], facts: Facts) -> Iterator[Join]:
    if equal and facts.head is not None:
        yield Join(parents=tuple(sorted(facts.graph.heads(equal | {facts.head}))))


def _judge(theirs: str, nodes: str, facts: Facts, rules: Rules) -> FastForward | Hold | None:
    """Return what to do about a head that is here."""
    other = facts.snapshots[theirs]
    if other.roots != rules.roots:
        return Hold(
            reason="paths-differ",
            message=f"{nodes} syncs {', '.join(other.roots)}, this node {', '.join(rules.roots)}",
            hint="set HA_SYNC_PATHS to the same list on every node",
        )
    if facts.head is not None and _relation(theirs, facts) is not Relation.BEHIND:
        mine = facts.snapshots[facts.head]
        if _relation(theirs, facts) is Relation.DIVERGED:
            return _apart("diverged", theirs, nodes, facts.head)
        if not is_stock(mine.tree, rules) and not is_stock(other.tree, rules):
            return _apart("unrelated", theirs, nodes, facts.head)
        if not _yields(facts.head, theirs, facts, rules):
            return None
    return _advance(theirs, nodes, facts, rules)


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


def _apart(reason: str, theirs: str, nodes: str, mine: str) -> Hold:
    what = "both changed" if reason == "diverged" else "each has files of its own"
    return Hold(
        reason=reason,
        message=f"{nodes} and this node hold different configurations: {what}; "
        "each serves its own, and both are kept",
        hint=f"choose one: `ha rollback {theirs[:12]}` on this node takes theirs, "
        f"`ha rollback {mine[:12]}` there takes this node's",
    )
