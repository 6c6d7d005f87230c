"""A node as values: what a real one does, without a disk, nginx or a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.core.history.change import changes
from sidecar.core.history.graph import Graph, Relation
from sidecar.core.history.guard import Rules, guard, is_restored
from sidecar.core.history.manifest import encode, fingerprint, identify
from sidecar.core.history.merge import UnknownTreeError, join, merge
from sidecar.core.history.reconcile import (
    Facts,
    FastForward,
    Fetch,
    Join,
    Merge,
    Plan,
    reconcile,
)
from sidecar.core.history.retention import retained
from sidecar.core.history.snapshot import Entry, Header, Kind, Snapshot, Tree
from tests.unit.trees import ROOT, Past, digest

MAIN = f"{ROOT}/nginx.conf"
RULES = Rules(
    roots=(ROOT,),
    needed=frozenset({MAIN}),
    stock=frozenset({digest("stock"), digest("old stock")}),
)


@dataclass
class Node:
    """A node without a disk: what a real one does, with values."""

    name: str
    live: dict[str, Entry]
    head: str | None = None
    history: dict[str, Snapshot] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    """Snapshots of which only the header is left."""
    merges: dict[tuple[str, ...], str | None] = field(default_factory=dict)
    """What it has merged since it was started."""
    fetched: set[str] = field(default_factory=set)
    """What it has brought with all that it comes from, since it was started."""
    rejected: set[str] = field(default_factory=set)
    released: str = ""
    aside: list[str] = field(default_factory=list)
    """What starts have set aside."""
    held: list[str | None] = field(default_factory=list)
    """The head when a person stopped sync; empty while nobody has."""
    alone: bool = False
    """It is cut from the others."""
    idle: object = None
    """All that it knew when it had nothing to do."""
    unseen: bool = False
    """It has not looked at its folders since it was started."""

    @property
    def offered(self) -> str | None:
        """What the others are told that the head is."""
        return self.held[0] if self.held else self.head

    def draft(self) -> Tree:
        """Return what the live tree is compared with."""
        return {} if self.head is None else self.history[self.head].tree

    def accept(self, clock: float) -> bool:
        """Make a snapshot of what differs, unless a guard says no; return whether it did."""
        if self.live == self.draft():
            self.unseen, self.released = False, ""
            return False
        reason = self.guarded()
        self.unseen = self.unseen and reason is not None
        if reason is not None or not serves(self.live):
            return False
        self.take(self.snapshot(clock))
        return True

    @property
    def whole(self) -> Mapping[str, Snapshot]:
        """What is kept with its tree."""
        if not self.cut:
            return self.history
        return {name: one for name, one in self.history.items() if name not in self.cut}

    def prune(self, most: int, others: Sequence["Node"]) -> None:
        """Keep no more with its tree than is needed."""
        headers = {
            name: Header(
                roots=one.roots,
                tree="",
                parents=one.parents,
                node=one.node,
                time=one.time,
                summary=one.summary,
            )
            for name, one in self.history.items()
        }
        heads = {self.head, self.offered, *self.aside, *(one.offered for one in others)}
        kept = retained(headers, {one for one in heads if one in headers}, most)
        self.cut |= self.history.keys() - kept

    def guarded(self) -> str | None:
        """Return what a guard says against the live tree."""
        before = self.draft()
        if hold := guard(before, self.live, RULES, self.released):
            return hold.reason
        if not self.unseen or self.head is None or self.released == fingerprint(self.live):
            return None
        before_that = self.graph().ancestors(self.head)
        prints = {fingerprint(self.history[one].tree) for one in before_that & self.history.keys()}
        past = [self.whole[one].tree for one in before_that & self.whole.keys()]
        back = is_restored(changes(before, self.live), self.live, prints, past)
        return "restored" if back else None

    def snapshot(self, clock: float, tree: Tree | None = None, *also: str) -> Snapshot:
        """Return a tree, or the live one, as a snapshot that follows the head."""
        follows = {one for one in (self.head, *also) if one is not None}
        return Snapshot(
            roots=(ROOT,),
            tree=dict(self.live if tree is None else tree),
            parents=tuple(sorted(self.graph().heads(follows))),
            node=self.name,
            time=clock,
        )

    def take(self, value: Snapshot) -> None:
        """Make a snapshot the head."""
        self.head = self.keep(value)
        self.rejected.clear()
        self.released = ""

    def keep(self, value: Snapshot) -> str:
        """Add a snapshot to the history."""
        name = identify(encode(value))
        self.history[name] = value
        self.cut.discard(name)
        return name

    def start(self, clock: float, *, alone: bool) -> str | None:
        """Be started: what is held, or broken and no other node serves, is set aside.

        Return the snapshot that was made of it.
        """
        self.stop()
        if self.head is None or self.live == self.draft():
            return None
        if self.guarded() is None and (serves(self.live) or not alone):
            return None
        name = self.keep(self.snapshot(clock))
        self.live = dict(self.draft())
        self.aside.append(name)
        return name

    def stop(self) -> None:
        """Be stopped: what was only in memory is gone."""
        self.merges.clear()
        self.fetched.clear()
        self.unseen, self.idle = True, None

    def graph(self) -> Graph:
        """Return what is known of who descends from whom."""
        return Graph({name: value.parents for name, value in self.history.items()})

    def plan(self, others: Sequence["Node"]) -> Plan:
        """Return what is to be done next."""
        if self.held:
            return Plan()
        linked = [one for one in others if one is not self and not (one.alone or self.alone)]
        facts = Facts(
            now=0.0,
            head=self.head,
            peers={other.name: other.offered for other in linked},
            graph=self.graph(),
            snapshots={
                one: self.history[one]
                for one in (self.head, *self.fetched, *self.merges.values())
                if one is not None
            },
            draft=changes(self.draft(), self.live),
            rejected=dict.fromkeys(self.rejected, 1.0),
            reasons=dict.fromkeys(self.rejected, "no"),
            merges=self.merges,
            past=self.whole,
        )
        return reconcile(facts, RULES)

    def pull(self, others: Sequence["Node"]) -> bool:
        """Do the next step, if there is one, and see that it loses nothing."""
        now = self._seen(others)
        if self.idle == now:
            return False
        match self.plan(others).step:
            case None:
                self.idle = now
                return False
            case Fetch(node=name, snapshot=wanted):
                self._fetch(next(other for other in others if other.name == name), wanted)
            case FastForward(snapshot=target) if not serves(self.history[target].tree):
                self.rejected.add(target)
            case FastForward(snapshot=target, leaves=leaves):
                self.aside += [self.head] if leaves and self.head else []
                self.go_to(target, leaves=leaves)
            case Join(parents=parents):
                assert all(self.history[one].tree == self.draft() for one in parents)
                assert self.head in parents
                self.take(join({one: self.history[one] for one in parents}))
            case Merge(heads=heads):
                self.merges[heads] = self._merge(heads)
        return True

    def _seen(self, others: Sequence["Node"]) -> object:
        """Return all that a plan follows from."""
        heads = [one.offered for one in others if not (one.alone or self.alone)]
        counts = [*map(len, (self.history, self.cut, self.fetched, self.rejected, self.merges))]
        return self.head, bool(self.held), heads, counts, dict(self.live)

    def _fetch(self, source: "Node", wanted: str) -> None:
        """Bring a snapshot and what it comes from, as far as it is kept there."""
        for one in source.graph().with_ancestors(wanted) & source.history.keys():
            if one not in self.history:
                self.cut |= source.cut & {one}
            elif one not in source.cut:
                self.cut.discard(one)
            self.history[one] = source.history[one]
        self.fetched.add(wanted)

    def _merge(self, heads: tuple[str, ...]) -> str | None:
        try:
            return self.keep(merge(heads, self.graph(), Past(self.whole, self.history)))
        except UnknownTreeError:
            return None

    def go_to(self, target: str, *, leaves: bool) -> None:
        """Put a snapshot in place of the live tree."""
        graph, tree_there = self.graph(), self.history[target].tree
        if self.head is not None:
            relation = graph.relation(self.head, target)
            known = graph.with_ancestors(target) & self.whole.keys()
            past = [self.history[one].tree for one in known]
            assert relation is Relation.BEHIND or (
                relation is Relation.UNRELATED
                and (
                    leaves
                    or all(
                        nobodys(entry) or any(tree.get(path) == entry for tree in past)
                        for path, entry in self.draft().items()
                    )
                )
            )
        for change in changes(self.draft(), self.live):
            kept = tree_there.get(change.path) == change.new
            assert kept or (change.new is not None and nobodys(change.new))
        self.live, self.head = dict(tree_there), target
        self.rejected.clear()
        self.released = ""


def nobodys(entry: Entry) -> bool:
    """Tell whether an entry is nothing that a person wrote; an empty directory holds nothing."""
    return entry.kind is Kind.DIRECTORY or entry.digest in RULES.stock


def serves(live: Tree) -> bool:
    """Tell whether nginx likes a tree: all but those in which two clash."""
    return sum(path.startswith(f"{ROOT}/clash") for path in live) < 2


def settle(nodes: Sequence[Node]) -> None:
    """Let all nodes do all that they can; it must come to an end."""
    for _ in range(30 * len(nodes)):
        if not [node for node in nodes if node.pull(nodes)]:
            return
    raise AssertionError("the nodes never come to rest")
