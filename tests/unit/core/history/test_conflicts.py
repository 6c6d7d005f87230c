"""What merges have overridden: the list that follows from a history."""

from dataclasses import replace

from sidecar.core.history.conflicts import Conflict, Version, conflicts, merges
from sidecar.core.history.graph import Graph
from sidecar.core.history.manifest import decode_header, encode
from sidecar.core.history.merge import merge, overridden
from sidecar.core.history.retention import retained
from sidecar.core.history.snapshot import Header, Snapshot, Tree
from tests.unit.trees import Past, id_of, snapshot, tree

ROOT = snapshot({"a": "0", "b": "0"})
MINE = snapshot({"a": "1", "b": "1"}, id_of(ROOT), time=2)
THEIRS = snapshot({"a": "2", "b": "2"}, id_of(ROOT), time=3, node="192.0.2.12")
KNOWN = Past({id_of(one): one for one in (ROOT, MINE, THEIRS)})
UNION = merge(
    (id_of(MINE), id_of(THEIRS)), Graph({name: one.parents for name, one in KNOWN.items()}), KNOWN
)
AFTER = snapshot({"a": "2", "b": "3"}, id_of(UNION), time=4)
HISTORY = Past({**KNOWN, id_of(UNION): UNION, id_of(AFTER): AFTER})
A, B = "/etc/nginx/a", "/etc/nginx/b"


def headers(history: dict[str, Snapshot]) -> dict[str, Header]:
    return {name: decode_header(encode(one)) for name, one in history.items()}


def listed(live: Tree, cleared: dict[str, tuple[str, ...]] | None = None) -> tuple[Conflict, ...]:
    graph = Graph({name: one.parents for name, one in HISTORY.items()})
    found = {id_of(UNION): overridden(UNION, graph, HISTORY)}
    return conflicts(found, live, headers(HISTORY), cleared or {})


def test_each_path_is_listed_with_both_its_versions() -> None:
    first, second = listed(UNION.tree)
    assert (first.path, second.path) == (A, B)
    assert first.merge == id_of(UNION)
    assert first.other == Version(snapshot=id_of(MINE), node="192.0.2.11", time=2)
    assert first.live == Version(snapshot=id_of(THEIRS), node="192.0.2.12", time=3)


def test_a_path_leaves_the_list_when_it_is_edited_or_restored_or_cleared() -> None:
    assert [one.path for one in listed(AFTER.tree)] == [A]
    assert [one.path for one in listed(tree({"a": "1", "b": "2"}))] == [B]
    assert listed({}) == ()
    assert [one.path for one in listed(UNION.tree, {id_of(UNION): (A,)})] == [B]
    assert len(listed(UNION.tree, {id_of(ROOT): (A,)})) == 2


def test_the_merges_are_those_that_the_head_comes_from() -> None:
    every = headers(HISTORY)
    assert merges(every, id_of(AFTER), 2) == merges(every, id_of(UNION), 1) == (id_of(UNION),)
    assert merges(every, id_of(AFTER), 1) == merges(every, id_of(MINE), 9) == ()
    by_hand = replace(UNION, node="192.0.2.11")
    assert merges({**every, **headers({id_of(by_hand): by_hand})}, id_of(by_hand), 9) == ()


def test_both_versions_and_what_is_needed_to_tell_are_kept_as_long_as_the_merge() -> None:
    every = headers(HISTORY)
    assert retained(every, [id_of(AFTER)], 2) == HISTORY.keys()
    assert retained(every, [id_of(AFTER)], 1) == {id_of(AFTER)}
