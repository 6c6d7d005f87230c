"""Reconciling: the cases by name; `tests.fuzz` lets anything happen in any order."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sidecar.core.history.change import changes
from sidecar.core.history.graph import Graph
from sidecar.core.history.guard import Rules
from sidecar.core.history.manifest import check
from sidecar.core.history.merge import join
from sidecar.core.history.reconcile import (
    Facts,
    FastForward,
    Fetch,
    Join,
    Merge,
    Plan,
    Step,
    reconcile,
)
from sidecar.core.history.snapshot import Entry, Snapshot
from tests.fuzz.model import RULES
from tests.unit.trees import ROOT, directory, id_of, link, snapshot, tree

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
    merges: Mapping[tuple[str, ...], str | None] | None = None,
    reasons: Mapping[str, str] | None = None,
    past: Mapping[str, Snapshot] | None = None,
    pending: bool = False,
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
        pending=pending,
        rejected=rejected or {},
        merges=merges or {},
        reasons=reasons or {},
        past=known if past is None else past,
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
    known = {id_of(BASE): BASE, id_of(NEXT): NEXT, id_of(ALIEN): ALIEN}
    found = plan(NEXT, ALIEN, LAST, known=known)
    assert found.step == Fetch(node="c", snapshot=id_of(LAST))
    assert [hold.reason for hold in found.holds] == ["unrelated"]


APART = tuple(sorted((id_of(NEXT), id_of(FORK))))
UNION = snapshot({"nginx.conf": "n", "a": "1", "b": "1"}, *APART, time=4)
WITH_UNION = {**ALL, id_of(UNION): UNION}


def test_what_has_diverged_is_merged_and_the_merge_taken_over() -> None:
    assert plan(NEXT, FORK, BASE) == plan(FORK, NEXT) == Plan(step=Merge(heads=APART))
    found = plan(NEXT, FORK, known=WITH_UNION, merges={APART: id_of(UNION)})
    assert found == Plan(step=FastForward(snapshot=id_of(UNION)))


def test_a_merge_takes_in_all_heads_at_once() -> None:
    other = snapshot({"nginx.conf": "o"}, id_of(BASE), time=5)
    heads = tuple(sorted((*APART, id_of(other))))
    assert plan(NEXT, FORK, other, known={**ALL, id_of(other): other}).step == Merge(heads=heads)


def test_a_merge_that_is_refused_is_held_and_tried_again() -> None:
    refused = {id_of(UNION): "[emerg] duplicate listen"}
    rejected = {id_of(UNION): 101.0}
    merges = {APART: id_of(UNION)}
    found = plan(NEXT, FORK, known=WITH_UNION, merges=merges, rejected=rejected, reasons=refused)
    (hold,) = found.holds
    assert found.step is None
    assert hold.reason == "merge-refused"
    assert "b and this node" in hold.message
    assert "[emerg] duplicate listen" in hold.message
    assert f"`ha diff {id_of(UNION)[:12]}`" in hold.hint
    again = plan(NEXT, FORK, known=WITH_UNION, merges=merges, reasons=refused)
    assert again == Plan(step=FastForward(snapshot=id_of(UNION)), holds=(hold,))


def test_a_draft_waits_for_no_merge_and_a_merge_for_the_draft() -> None:
    found = plan(
        NEXT, FORK, known=WITH_UNION, merges={APART: id_of(UNION)}, draft=({"a": "1"}, {"a": "x"})
    )
    assert [hold.reason for hold in found.holds] == ["draft"]


def test_what_is_refused_as_a_whole_is_merged_with_one_after_the_other() -> None:
    other = snapshot({"nginx.conf": "o"}, id_of(BASE), time=5)
    whole = tuple(sorted((*APART, id_of(other))))
    all_three = snapshot({"nginx.conf": "o", "a": "1", "b": "1"}, *whole, time=5)
    known = {**WITH_UNION, id_of(other): other, id_of(all_three): all_three}
    refused = {id_of(all_three): "[emerg] no"}
    merges: dict[tuple[str, ...], str | None] = {whole: id_of(all_three)}

    def next_step(due: float) -> Plan:
        rejected = dict.fromkeys(refused, due)
        return plan(
            NEXT, FORK, other, known=known, merges=merges, reasons=refused, rejected=rejected
        )

    assert next_step(100.0).step == FastForward(snapshot=id_of(all_three))
    pairs = [APART, tuple(sorted((id_of(NEXT), id_of(other))))]
    first, second = sorted(pairs, key=lambda pair: min({*pair} - {id_of(NEXT)}))
    assert next_step(101.0).step == Merge(heads=first)
    merges[first] = None
    found = next_step(101.0)
    assert found.step == Merge(heads=second)
    assert [hold.reason for hold in found.holds] == ["merge-refused"]
    merges[APART] = id_of(UNION)
    assert next_step(101.0).step in (FastForward(snapshot=id_of(UNION)), Merge(heads=second))


def test_what_cannot_be_merged_as_a_whole_is_merged_with_those_that_can() -> None:
    other = snapshot({"nginx.conf": "o"}, id_of(BASE), time=5)
    whole = tuple(sorted((*APART, id_of(other))))
    pair = tuple(sorted((id_of(NEXT), id_of(other))))
    merges: dict[tuple[str, ...], str | None] = {whole: None, pair: None, APART: id_of(UNION)}
    known = {**WITH_UNION, id_of(other): other}
    found = plan(NEXT, FORK, other, known=known, merges=merges)
    assert found.step == FastForward(snapshot=id_of(UNION))
    assert [hold.reason for hold in found.holds] == ["diverged"]
    assert found.choices == {id_of(other): ["c"]}


def test_a_draft_that_is_about_to_be_tried_needs_nobody() -> None:
    assert plan(BASE, NEXT, draft=(MINE, {"nginx.conf": "edited"}), pending=True) == Plan()


def test_a_head_of_other_paths_is_not_merged() -> None:
    wider = replace(FORK, roots=("/etc/letsencrypt", ROOT))
    found = plan(NEXT, wider, known={**ALL, id_of(wider): wider})
    assert [hold.reason for hold in found.holds] == ["paths-differ"]
    found = plan(wider, NEXT, known={**ALL, id_of(wider): wider})
    assert [hold.reason for hold in found.holds] == ["diverged"]


@pytest.mark.parametrize(
    ("head", "peer", "reason"), [(NEXT, FORK, "diverged"), (NEXT, ALIEN, "unrelated")]
)
def test_what_cannot_be_decided_is_held_with_a_way_out(
    head: Snapshot, peer: Snapshot, reason: str
) -> None:
    found = plan(head, peer, peer, merges={APART: None})
    (hold,) = found.holds
    assert found.choices == {id_of(peer): ["b", "c"]}
    assert hold.reason == reason
    assert "b and c" in hold.message
    assert "`ha sync adopt mine`" in hold.hint
    assert "`ha sync adopt b`" in hold.hint


def test_a_node_that_lost_its_state_takes_what_replaced_its_files() -> None:
    lost = snapshot({"nginx.conf": "n", "a": "1", "d/default.conf": "stock"}, time=99)
    known = {**ALL, id_of(lost): lost}
    assert plan(lost, LAST, known=known) == Plan(step=FastForward(snapshot=id_of(LAST)))
    assert plan(LAST, lost, known=known) == Plan()
    # What it has is too old to be known.
    assert plan(lost, LAST, known=known, past={id_of(LAST): LAST}).holds[0].reason == "unrelated"


def test_a_node_that_lost_its_state_and_has_files_of_its_own_leaves_them_named() -> None:
    lost = snapshot({"nginx.conf": "n", "a": "1", "own": "1"}, time=99)
    known = {**ALL, id_of(lost): lost}
    assert plan(lost, LAST, known=known).step == FastForward(snapshot=id_of(LAST), leaves=True)
    assert plan(LAST, lost, known=known) == Plan()
    # Most is its own; it has a past; its node has made nothing there; both have just begun.
    strange = snapshot({"nginx.conf": "n", "own": "1"}, time=99)
    assert plan(strange, LAST, known={**ALL, id_of(strange): strange}).holds
    grown = snapshot({"nginx.conf": "n", "a": "1", "own": "2"}, id_of(lost), time=99)
    assert plan(grown, LAST, known={**known, id_of(grown): grown}).holds
    new = replace(lost, node="192.0.2.99")
    assert plan(new, LAST, known={**known, id_of(new): new}).holds
    first = snapshot({"nginx.conf": "n", "a": "1", "b": "1"}, time=99)
    assert plan(lost, first, known={**known, id_of(first): first}).holds
    busy = plan(lost, LAST, known=known, draft=({"own": "1"}, {"own": "2"}))
    assert [hold.reason for hold in busy.holds] == ["draft"]


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
