"""Reconciling: the cases by name, then small worlds in which anything happens in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.change import changes
from sidecar.core.graph import Graph, Relation
from sidecar.core.guard import Rules, guard, is_stock
from sidecar.core.manifest import check, encode, identify
from sidecar.core.reconcile import Facts, FastForward, Fetch, Join, Plan, Step, join, reconcile
from sidecar.core.snapshot import Entry, Snapshot
from tests.unit.trees import ROOT, digest, directory, file, id_of, link, snapshot, tree

RULES = Rules(roots=(ROOT,), stock=frozenset({digest("stock"), digest("old stock")}))

BASE = snapshot({"nginx.conf": "n"})
NEXT = snapshot({"nginx.conf": "n", "a": "1"}, id_of(BASE), time=2)
LAST = snapshot({"nginx.conf": "n", "a": "2"}, id_of(NEXT), time=3)
FORK = snapshot({"nginx.conf": "n", "b": "1"}, id_of(BASE), time=4)
ALIEN = snapshot({"nginx.conf": "alien"}, time=5)
STOCK = snapshot({"nginx.conf": "stock"}, time=6)
OLD_STOCK = snapshot({"nginx.conf": "old stock"}, time=7)
ALL = {id_of(value): value for value in (BASE, NEXT, LAST, FORK, ALIEN, STOCK, OLD_STOCK)}


def plan(
    head: Snapshot | None,
    *peers: Snapshot | None,
    draft: tuple[Mapping[str, Entry | str], Mapping[str, Entry | str]] = ({}, {}),
    rejected: Mapping[str, float] | None = None,
    known: Mapping[str, Snapshot] = ALL,
    rules: Rules = RULES,
) -> Plan:
    """Reconcile a node with that head with peers b, c, … with those heads, at time 100."""
    facts = Facts(
        now=100.0,
        head=None if head is None else id_of(head),
        peers={
            name: None if peer is None else id_of(peer)
            for name, peer in zip("bcd", peers, strict=False)
        },
        graph=Graph({name: value.parents for name, value in known.items()}),
        snapshots=known,
        draft=changes(tree(draft[0]), tree(draft[1])),
        rejected=rejected or {},
    )
    return reconcile(facts, rules)


@pytest.mark.parametrize(
    ("head", "peers", "step"),
    [
        (None, [], None),
        (None, [None], None),
        (BASE, [BASE, None], None),
        (NEXT, [BASE], None),
        (BASE, [NEXT], FastForward(snapshot=id_of(NEXT))),
        (BASE, [NEXT, LAST], FastForward(snapshot=id_of(LAST))),
        (BASE, [LAST, NEXT], FastForward(snapshot=id_of(LAST))),
        (BASE, [NEXT, FORK], FastForward(snapshot=id_of(FORK))),
        (None, [BASE], FastForward(snapshot=id_of(BASE))),
        (None, [STOCK, BASE], FastForward(snapshot=id_of(BASE))),
        (None, [STOCK], FastForward(snapshot=id_of(STOCK))),
        (STOCK, [ALIEN], FastForward(snapshot=id_of(ALIEN))),
        (ALIEN, [STOCK], None),
        (STOCK, [OLD_STOCK], FastForward(snapshot=id_of(OLD_STOCK))),
        (OLD_STOCK, [STOCK], None),
    ],
)
def test_the_next_step(
    head: Snapshot | None, peers: list[Snapshot | None], step: Step | None
) -> None:
    assert plan(head, *peers) == Plan(step=step)


def test_what_is_not_here_is_fetched_first_from_the_first_that_has_it() -> None:
    known = {id_of(BASE): BASE, id_of(NEXT): NEXT}
    assert plan(BASE, NEXT, LAST, LAST, known=known).step == Fetch(node="c", snapshot=id_of(LAST))
    assert plan(None, BASE, known={}).step == Fetch(node="b", snapshot=id_of(BASE))


def test_while_one_head_is_fetched_what_holds_another_is_still_told() -> None:
    known = {id_of(BASE): BASE, id_of(NEXT): NEXT, id_of(FORK): FORK}
    found = plan(NEXT, FORK, LAST, known=known)
    assert found.step == Fetch(node="c", snapshot=id_of(LAST))
    assert [hold.reason for hold in found.holds] == ["diverged"]


@pytest.mark.parametrize(
    ("head", "peer", "reason"), [(NEXT, FORK, "diverged"), (NEXT, ALIEN, "unrelated")]
)
def test_what_cannot_be_decided_is_held_with_a_way_out(
    head: Snapshot, peer: Snapshot, reason: str
) -> None:
    (hold,) = plan(head, peer, peer).holds
    assert hold.reason == reason
    assert "b and c" in hold.message
    assert f"`ha rollback {id_of(peer)[:12]}`" in hold.hint
    assert f"`ha rollback {id_of(head)[:12]}`" in hold.hint


def test_after_the_way_out_the_histories_join() -> None:
    chosen = replace(FORK, parents=(id_of(NEXT),), time=9.0)
    known = {**ALL, id_of(chosen): chosen}
    step = Join(parents=tuple(sorted((id_of(chosen), id_of(FORK)))))
    assert plan(chosen, FORK, known=known) == Plan(step=step)
    assert plan(FORK, chosen, known=known) == Plan(step=step)


def test_unrelated_histories_with_the_same_files_join_on_all_nodes_alike() -> None:
    twin, third = replace(ALIEN, time=8.0), replace(ALIEN, time=9.0)
    known = {**ALL, id_of(twin): twin, id_of(third): third}
    step = Join(parents=tuple(sorted(map(id_of, (ALIEN, twin, third)))))
    assert plan(ALIEN, twin, third, known=known).step == step
    assert plan(third, twin, ALIEN, known=known).step == step


def test_a_join_is_the_same_wherever_it_is_made() -> None:
    twin = replace(ALIEN, time=8.0, node="192.0.2.12")
    one = join({id_of(ALIEN): ALIEN, id_of(twin): twin})
    other = join({id_of(twin): twin, id_of(ALIEN): ALIEN})
    assert id_of(one) == id_of(other)
    assert (one.tree, one.time, one.node) == (ALIEN.tree, 8.0, "")
    check(one)


def test_other_paths_are_held() -> None:
    wider = replace(NEXT, roots=("/etc/letsencrypt", ROOT))
    (hold,) = plan(BASE, wider, known={**ALL, id_of(wider): wider}).holds
    assert hold.reason == "paths-differ"
    assert hold.message == "b syncs /etc/letsencrypt, /etc/nginx, this node /etc/nginx"


MINE: dict[str, Entry | str] = {"nginx.conf": "n"}


@pytest.mark.parametrize(
    ("live", "message"),
    [
        ({"nginx.conf": "edited"}, "b has a newer configuration, but nginx.conf differs here"),
        ({**MINE, "x": "x", "y": "y"}, "but x and 1 more differs here"),
        ({**MINE, "a": "mine"}, "but a differs here"),
        ({}, "but nginx.conf differs here"),
        ({"renamed": "n"}, "but renamed differs here"),
        ({"nginx.conf": "stock"}, "but nginx.conf differs here"),
        ({**MINE, "l": link("x")}, "but l differs here"),
    ],
)
def test_a_draft_is_never_overwritten(live: Mapping[str, Entry | str], message: str) -> None:
    found = plan(BASE, NEXT, draft=(MINE, live))
    assert found.step is None
    assert [hold.reason for hold in found.holds] == ["draft"]
    assert message in found.holds[0].message


@pytest.mark.parametrize(
    ("head", "peer", "before", "live"),
    [
        (BASE, NEXT, MINE, {**MINE, "a": "1"}),
        (BASE, NEXT, MINE, {**MINE, "conf.d/default.conf": "stock"}),
        (BASE, NEXT, MINE, {**MINE, "d": directory()}),
        (None, ALIEN, {}, {"nginx.conf": "stock", "conf.d/default.conf": "stock"}),
        (None, BASE, {}, MINE),
    ],
)
def test_what_the_peer_has_too_and_what_nobody_wrote_does_not_block(
    head: Snapshot | None,
    peer: Snapshot,
    before: Mapping[str, Entry | str],
    live: Mapping[str, Entry | str],
) -> None:
    found = plan(head, peer, draft=(before, live))
    assert found == Plan(step=FastForward(snapshot=id_of(peer)))


def test_a_rename_that_the_peer_made_too_does_not_block() -> None:
    moved = snapshot({"renamed": "n"}, id_of(BASE))
    found = plan(BASE, moved, draft=(MINE, {"renamed": "n"}), known={**ALL, id_of(moved): moved})
    assert found.step == FastForward(snapshot=id_of(moved))


def test_a_rename_of_what_the_peer_copied_blocks() -> None:
    copied = snapshot({"nginx.conf": "n", "renamed": "n"}, id_of(BASE))
    found = plan(BASE, copied, draft=(MINE, {"renamed": "n"}), known={**ALL, id_of(copied): copied})
    assert [hold.reason for hold in found.holds] == ["draft"]


def test_a_peer_that_undid_its_change_is_followed_not_joined() -> None:
    undone = snapshot({"nginx.conf": "n"}, id_of(NEXT), time=9)
    found = plan(BASE, undone, known={**ALL, id_of(undone): undone})
    assert found.step == FastForward(snapshot=id_of(undone))


def test_a_rejected_snapshot_waits_for_its_time_and_an_older_one_goes_first() -> None:
    assert plan(BASE, LAST, rejected={id_of(LAST): 101.0}) == Plan()
    assert plan(BASE, LAST, rejected={id_of(LAST): 100.0}).step == FastForward(snapshot=id_of(LAST))
    assert plan(BASE, LAST, NEXT, rejected={id_of(LAST): 101.0}).step == FastForward(
        snapshot=id_of(NEXT)
    )


def test_a_peer_s_deletes_are_taken_over_since_they_passed_a_guard_there() -> None:
    empty = snapshot({}, id_of(LAST))
    known = {**ALL, id_of(empty): empty}
    assert plan(BASE, empty, known=known).step == FastForward(snapshot=id_of(empty))


# Small worlds


@dataclass
class Node:
    """A node without a disk: what a real one does, with values."""

    name: str
    live: dict[str, Entry]
    head: str | None = None
    history: dict[str, Snapshot] = field(default_factory=dict)

    def draft(self) -> Mapping[str, Entry]:
        return {} if self.head is None else self.history[self.head].tree

    def accept(self, clock: float) -> None:
        """Make a snapshot of what differs, unless a guard says no."""
        before = self.draft()
        if self.live != before and guard(before, self.live, RULES) is None:
            self.take(
                Snapshot(
                    roots=(ROOT,),
                    tree=dict(self.live),
                    parents=() if self.head is None else (self.head,),
                    node=self.name,
                    time=clock,
                )
            )

    def take(self, value: Snapshot) -> None:
        self.head = identify(encode(value))
        self.history[self.head] = value

    def graph(self) -> Graph:
        return Graph({name: value.parents for name, value in self.history.items()})

    def plan(self, others: Sequence["Node"]) -> Plan:
        peers = {other.name: other.head for other in others if other is not self}
        facts = Facts(
            now=0.0,
            head=self.head,
            peers=peers,
            graph=self.graph(),
            snapshots=self.history,
            draft=changes(self.draft(), self.live),
        )
        return reconcile(facts, RULES)

    def pull(self, others: Sequence["Node"]) -> bool:
        """Do the next step, if there is one, and see that it loses nothing."""
        match self.plan(others).step:
            case None:
                return False
            case Fetch(node=name, snapshot=wanted):
                (source,) = (other for other in others if other.name == name)
                for one in source.graph().ancestors(wanted) | {wanted}:
                    self.history[one] = source.history[one]
            case FastForward(snapshot=target):
                self.go_to(target)
            case Join(parents=parents):
                assert all(self.history[one].tree == self.draft() for one in parents)
                assert self.head in parents
                self.take(join({one: self.history[one] for one in parents}))
        return True

    def go_to(self, target: str) -> None:
        graph, tree_there = self.graph(), self.history[target].tree
        if self.head is not None:
            relation = graph.relation(self.head, target)
            assert relation is Relation.BEHIND or (
                relation is Relation.UNRELATED and is_stock(self.draft(), RULES)
            )
        for change in changes(self.draft(), self.live):
            kept = tree_there.get(change.path) == change.new
            assert kept or (change.new is not None and change.new.digest in RULES.stock)
        self.live, self.head = dict(tree_there), target


def settle(nodes: Sequence[Node]) -> None:
    """Let all nodes do all that they can; it must come to an end."""
    for _ in range(40):
        if not [node for node in nodes if node.pull(nodes)]:
            return
    raise AssertionError("the nodes never come to rest")


STARTS: list[dict[str, Entry | str]] = [
    {},
    {"nginx.conf": "stock"},
    {"nginx.conf": "old stock"},
    {"nginx.conf": "mine"},
]
CONTENTS = st.sampled_from([None, file("1"), file("2"), file("stock"), link("1")])
EDITS = st.tuples(st.just("edit"), st.sampled_from(["nginx.conf", "a", "b"]), CONTENTS)
ACTIONS = st.tuples(
    st.integers(0, 2), st.one_of(EDITS, st.tuples(st.sampled_from(["accept", "pull", "settle"])))
)


@st.composite
def clusters(draw: st.DrawFn) -> list[Node]:
    starts = draw(st.lists(st.sampled_from(STARTS), min_size=2, max_size=3))
    return [Node(name=name, live=tree(start)) for name, start in zip("abc", starts, strict=False)]


def edit(node: Node, name: str, entry: Entry | None) -> None:
    node.live.pop(f"{ROOT}/{name}", None)
    if entry is not None:
        node.live[f"{ROOT}/{name}"] = entry


@settings(max_examples=200, deadline=None)
@given(clusters(), st.lists(ACTIONS, max_size=15), st.data())
def test_nothing_is_lost_and_nodes_that_nothing_holds_are_the_same(
    nodes: list[Node], actions: list[tuple[int, tuple[object, ...]]], data: st.DataObject
) -> None:
    for number, (index, action) in enumerate(actions):
        node = nodes[index % len(nodes)]
        match action:
            case ("edit", str(name), Entry() | None as entry):
                edit(node, name, entry)
            case ("accept",):
                node.accept(clock=float(data.draw(st.integers(0, number))))
            case ("pull",):
                node.pull(nodes)
            case _:
                settle(nodes)
    settle(nodes)
    plans = [node.plan(nodes) for node in nodes]
    assert not [plan.step for plan in plans if plan.step]
    if not [hold for plan in plans for hold in plan.holds]:
        assert len({node.head for node in nodes}) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), EDITS), min_size=1, max_size=10))
def test_edits_one_after_the_other_reach_every_node(
    edits: list[tuple[int, tuple[str, str, Entry | None]]],
) -> None:
    nodes = [Node(name=name, live=tree({"nginx.conf": "stock", "k": "k"})) for name in "abc"]
    nodes[0].accept(clock=0.0)
    for number, (index, (_, name, entry)) in enumerate(edits):
        settle(nodes)
        edit(nodes[index], name, entry)
        nodes[index].accept(clock=float(number))
    settle(nodes)
    assert len({node.head for node in nodes}) == 1
    assert all(node.live == nodes[index].live for node in nodes)
