"""Merging: the cases by name, then clusters in which nobody waits for anybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.history.graph import Graph
from sidecar.core.history.manifest import check, decode_header, encode
from sidecar.core.history.merge import (
    Overridden,
    UnknownTreeError,
    join,
    merge,
    overridden,
    overrides,
)
from sidecar.core.history.snapshot import Entry, Snapshot
from tests.unit.trees import Past, directory, file, id_of, link, snapshot, tree

Tree = Mapping[str, Entry | str]


@dataclass(frozen=True)
class Merged:
    snapshot: Snapshot
    overridden: tuple[Overridden, ...]


def merged(*heads: Snapshot, past: tuple[Snapshot, ...]) -> Merged:
    """Merge heads, and see that the result is a proper snapshot, the same in any order."""
    known = Past({id_of(one): one for one in (*heads, *past)})
    graph = Graph({name: one.parents for name, one in known.items()})
    found = [merge([id_of(one) for one in order], graph, known) for order in permutations(heads)]
    assert all(id_of(one) == id_of(found[0]) for one in found)
    check(found[0])
    lost = overridden(found[0], graph, known)
    assert overrides(decode_header(encode(found[0]))) == bool(lost)
    return Merged(found[0], lost)


def both(base: Tree, early: Tree, late: Tree) -> Merged:
    root = snapshot(base)
    one, two = snapshot(early, id_of(root), time=2), snapshot(late, id_of(root), time=3)
    return merged(one, two, past=(root,))


@pytest.mark.parametrize(
    ("base", "early", "late", "expected"),
    [
        ({"a": "0"}, {"a": "1"}, {"a": "0"}, {"a": "1"}),
        ({"a": "0"}, {"a": "0"}, {"a": "1"}, {"a": "1"}),
        ({"a": "0"}, {"a": "0", "b": "1"}, {"a": "0", "c": "2"}, {"a": "0", "b": "1", "c": "2"}),
        ({"a": "0"}, {"a": "1"}, {"a": "1"}, {"a": "1"}),
        ({"a": "0", "b": "0"}, {"b": "0"}, {"a": "0", "b": "1"}, {"b": "1"}),
        ({"a": "0", "b": "0"}, {"b": "0"}, {"a": "1", "b": "0"}, {"a": "1", "b": "0"}),
        ({"a": "0", "b": "0"}, {"a": "1", "b": "0"}, {"b": "0"}, {"a": "1", "b": "0"}),
        ({"a": "0", "b": "0"}, {"b": "0"}, {"b": "0"}, {"b": "0"}),
        ({"d/a": "0"}, {}, {"d/a": "0", "d/b": "1"}, {"d/b": "1"}),
        ({"d/a": "0"}, {"d": "file"}, {"d/a": "0"}, {"d": "file"}),
        ({"d": "file"}, {"d/a": "0"}, {"d": "file"}, {"d/a": "0"}),
    ],
)
def test_what_one_side_changed_is_kept(base: Tree, early: Tree, late: Tree, expected: Tree) -> None:
    found = both(base, early, late)
    assert found.snapshot.tree == tree(expected)
    assert found.overridden == ()
    assert found.snapshot.summary == "merged what was changed at the same time"


def test_the_later_side_wins_on_all_paths_that_both_edited() -> None:
    early = {"cert.pem": "early cert", "key.pem": "early key", "own": "early"}
    found = both({"cert.pem": "0"}, early, {"cert.pem": "late cert", "key.pem": "late key"})
    late = {"cert.pem": "late cert", "key.pem": "late key", "own": "early"}
    assert found.snapshot.tree == tree(late)
    one, two = found.snapshot.parents
    paths = [one.path for one in found.overridden]
    assert paths == ["/etc/nginx/cert.pem", "/etc/nginx/key.pem"]
    assert {found.overridden[0].snapshot, found.overridden[0].winner} == {one, two}
    assert found.snapshot.time == 3
    assert found.snapshot.node == ""
    assert found.snapshot.summary.endswith("; 2 paths edited on both sides")


@pytest.mark.parametrize(
    ("early", "late", "expected", "lost"),
    [
        ({"d": link("x")}, {"d/a": "0", "d/b": "1"}, {"d/b": "1"}, ["d"]),
        ({"d/a": "0", "d/b": "1"}, {"d": link("x")}, {"d": link("x")}, ["d/b"]),
        ({"d/a": "1"}, {"d": link("x")}, {"d": link("x")}, ["d/a"]),
        ({"d": directory(0o700), "d/a": "0"}, {"d": link("x")}, {"d": link("x")}, []),
    ],
)
def test_a_directory_or_what_took_its_place_stays_whole(
    early: Tree, late: Tree, expected: Tree, lost: list[str]
) -> None:
    found = both({"d/a": "0"}, early, late)
    assert found.snapshot.tree.keys() == tree(expected).keys()
    assert [one.path.removeprefix("/etc/nginx/") for one in found.overridden] == lost


def test_a_version_that_the_other_side_has_replaced_loses_however_late() -> None:
    root = snapshot({"a": "0", "b": "0"})
    put_back = snapshot({"a": "0", "b": "1"}, id_of(root), time=2)
    base = snapshot({"a": "1", "b": "1"}, id_of(root), time=2)
    back = snapshot({"a": "0", "b": "1"}, id_of(base), time=9)
    edited = snapshot({"a": "2", "b": "1"}, id_of(base), time=4)
    found = merged(back, edited, past=(root, base, put_back))
    assert found.snapshot.tree == tree({"a": "2", "b": "1"})
    assert found.overridden == (
        Overridden(
            path="/etc/nginx/a", snapshot=id_of(back), winner=id_of(edited), taken=file("2")
        ),
    )
    gone = snapshot({"b": "1"}, id_of(base), time=3)
    assert merged(back, gone, past=(root, base)).snapshot.tree == tree({"b": "1"})


def test_what_one_side_alone_brings_back_loses_where_the_other_has_replaced_it() -> None:
    root = snapshot({"a": "0"})
    known = snapshot({"a": "1", "b": "1"}, id_of(root), time=2)
    newer = snapshot({"a": "0"}, id_of(known), time=3)
    stale = snapshot({"a": "1", "b": "1", "own": "1"}, id_of(root), time=9)
    found = merged(stale, newer, past=(root, known)).snapshot
    assert found.tree == tree({"a": "0", "own": "1"})


def test_a_person_may_go_back_to_what_another_branch_still_has() -> None:
    root = snapshot({"a": "0"})
    edited = snapshot({"a": "1"}, id_of(root), time=2)
    behind = snapshot({"a": "0", "b": "1"}, id_of(root), time=3)
    united = merged(edited, behind, past=(root,)).snapshot
    back = snapshot({"a": "0"}, id_of(edited), time=4)
    found = merged(united, back, past=(root, edited, behind)).snapshot
    assert found.tree == tree({"a": "0", "b": "1"})


def test_what_a_person_chose_wins_over_those_that_do_not_know_of_it_however_many() -> None:
    one, two = snapshot({"a": "1"}), snapshot({"a": "2"}, time=2)
    chosen = snapshot({"a": "1"}, id_of(one), id_of(two), time=3)
    on_one = snapshot({"a": "1", "b": "1"}, id_of(one), time=4)
    on_two = snapshot({"a": "2", "c": "2"}, id_of(two), time=5)
    found = merged(chosen, on_one, on_two, past=(one, two)).snapshot
    assert found.tree == tree({"a": "1", "b": "1", "c": "2"})


def test_a_version_that_nobody_knows_any_more_is_as_if_it_had_never_been() -> None:
    forgotten = snapshot({"a": "0"})
    base = snapshot({"a": "1"}, id_of(forgotten), time=2)
    back = snapshot({"a": "0"}, id_of(base), time=9)
    edited = snapshot({"a": "2"}, id_of(base), time=4)
    assert merged(back, edited, past=(base,)).snapshot.tree == tree({"a": "0"})
    assert merged(back, edited, past=(base, forgotten)).snapshot.tree == tree({"a": "2"})


def test_merges_by_nodes_that_keep_different_pasts_become_one() -> None:
    forgotten = snapshot({"a": "0"})
    base = snapshot({"a": "1"}, id_of(forgotten), time=2)
    back = snapshot({"a": "0", "b": "1"}, id_of(base), time=9)
    edited = snapshot({"a": "2", "c": "1"}, id_of(base), time=4)
    pasts = ((base, back, edited), (base, back, edited, forgotten))
    made = [merged(back, edited, past=past).snapshot for past in pasts]
    assert made[0].tree != made[1].tree
    beside = snapshot({"a": "1", "d": "1"}, id_of(base), time=5)
    one, two = (merged(*made, past=past) for past in pasts)
    assert one == two
    assert (one.snapshot.tree, one.overridden) == (max(made, key=id_of).tree, ())
    one, two = (merged(*made, beside, past=past) for past in pasts)
    assert one == two
    assert one.snapshot.tree == {**beside.tree, **max(made, key=id_of).tree}


def test_heads_that_crossed_are_merged_against_the_merge_of_their_bases() -> None:
    root = snapshot({"a": "0", "b": "0"})
    one = snapshot({"a": "1", "b": "0"}, id_of(root), time=2)
    two = snapshot({"a": "0", "b": "2"}, id_of(root), time=3)
    first = merged(one, two, past=(root,)).snapshot
    left = snapshot({"a": "1", "b": "3"}, id_of(one), id_of(two), time=4)
    right = snapshot({"a": "4", "b": "2"}, id_of(one), id_of(two), time=5)
    found = merged(left, right, past=(root, one, two, first))
    assert found.snapshot.tree == tree({"a": "4", "b": "3"})
    assert found.overridden == ()


def test_what_was_deleted_before_merges_crossed_does_not_come_back() -> None:
    root = snapshot({"a": "0"})
    known = snapshot({"a": "1"}, id_of(root), time=2)
    beside = snapshot({"a": "2"}, id_of(root), time=3)
    kept = snapshot({"a": "1", "b": "1"}, id_of(known), time=4)
    gone = snapshot({"c": "1"}, id_of(known), time=4)
    past = (root, known, beside, kept, gone)
    left, right = (merged(beside, one, past=past).snapshot for one in (kept, gone))
    assert left.tree == tree({"a": "1", "b": "1"})
    assert right.tree == tree({"a": "2", "c": "1"})
    assert merged(left, right, past=past).snapshot.tree == tree({"a": "2", "b": "1", "c": "1"})
    again = snapshot({"a": "0", "b": "1"}, id_of(left), time=5)
    back = snapshot({"a": "1", "b": "1"}, id_of(again), time=6)
    found = merged(back, right, past=(*past, left, again)).snapshot
    assert found.tree == tree({"a": "1", "b": "1", "c": "1"}), "somebody went back to it"


def test_what_a_person_has_chosen_stays_where_merges_without_that_choice_crossed() -> None:
    one, two = snapshot({"a": "1"}, time=2), snapshot({"a": "2"}, time=3)
    chosen = snapshot({"a": "1"}, id_of(one), id_of(two), time=4)
    first = snapshot({"a": "1", "b": "1"}, id_of(one), time=5)
    second = snapshot({"a": "2", "c": "1"}, id_of(two), time=6)
    past = (one, two, chosen, first, second)
    without = merged(first, second, past=past).snapshot
    assert without.tree == tree({"a": "2", "b": "1", "c": "1"})
    with_it = merged(first, chosen, past=past).snapshot
    found = merged(without, with_it, past=past).snapshot
    assert found.tree == tree({"a": "1", "b": "1", "c": "1"})


def test_what_a_person_chose_of_strangers_stays_where_the_other_came_back_by_itself() -> None:
    one, two = snapshot({"a": "1"}, time=2), snapshot({"a": "2"}, time=1)
    chosen = snapshot({"a": "2"}, id_of(one), id_of(two), time=3)
    copied = snapshot({"a": "1"}, id_of(two), time=4)
    past = (one, two, copied)
    joined = join({id_of(each): each for each in (one, copied)})
    assert merged(chosen, copied, past=past).snapshot.tree == tree({"a": "2"})
    assert merged(chosen, joined, past=past).snapshot.tree == tree({"a": "2"})


def test_a_file_in_a_directorys_place_is_gone_once_deleted_however_late_a_merge_has_it() -> None:
    root = snapshot({"d/a": "0", "x": "0"})
    edited = snapshot({"d/a": "1", "x": "0"}, id_of(root), time=5)
    emptied = snapshot({"x": "1"}, id_of(root), time=2)
    placed = snapshot({"d": "file", "x": "0"}, id_of(root), time=9)
    deleted = snapshot({"x": "0"}, id_of(placed), time=4)
    past = (root, edited, emptied, placed, deleted)
    one = merged(emptied, placed, past=past).snapshot
    with_file = merged(one, edited, past=past).snapshot
    with_directory = merged(deleted, edited, past=past).snapshot
    assert (with_file.tree, with_directory.tree) == (
        tree({"d": "file", "x": "1"}),
        tree({"d/a": "1", "x": "0"}),
    )
    found = merged(with_file, with_directory, past=(*past, one)).snapshot
    assert found.tree == tree({"d/a": "1", "x": "1"})


def test_of_three_heads_that_each_lose_to_another_what_was_deleted_is_out() -> None:
    root = snapshot({"a": "0"})
    gone = snapshot({"c": "1"}, id_of(root), time=2)
    beside = snapshot({"a": "0", "b": "1"}, id_of(root), time=3)
    other = snapshot({"a": "2", "c": "1"}, id_of(gone), time=4)
    both = merged(beside, other, past=(root, gone)).snapshot
    back = snapshot({"a": "0", "c": "1"}, id_of(gone), time=5)
    kept = snapshot({"a": "2", "b": "2", "c": "1"}, id_of(both), time=9)
    deleted = snapshot({"b": "1", "c": "1"}, id_of(both), time=5)
    found = merged(back, kept, deleted, past=(root, gone, beside, other, both)).snapshot
    assert found.tree == tree({"a": "0", "b": "2", "c": "1"})


def test_of_three_heads_that_each_lose_to_another_what_a_person_replaced_is_out() -> None:
    root = snapshot({"k": "0"})
    one = snapshot({"a": "1", "k": "0"}, id_of(root), time=2)
    two = snapshot({"a": "2", "k": "0"}, id_of(root), time=3)
    both = merged(one, two, past=(root,)).snapshot
    deleted = snapshot({"k": "0"}, id_of(two), time=5)
    later = snapshot({"a": "2", "b": "1", "k": "0"}, id_of(both), time=9)
    beside = snapshot({"a": "1", "c": "1", "k": "0"}, id_of(one), time=6)
    found = merged(deleted, later, beside, past=(root, one, two, both)).snapshot
    assert found.tree == tree({"a": "1", "b": "1", "c": "1", "k": "0"})


def test_three_heads_are_merged_at_once() -> None:
    root = snapshot({"a": "0"})
    heads = [snapshot({"a": "0", name: name}, id_of(root), time=2) for name in "xyz"]
    found = merged(*heads, past=(root,)).snapshot
    assert found.tree == tree({"a": "0", "x": "x", "y": "y", "z": "z"})
    assert found.parents == tuple(sorted(map(id_of, heads)))
    # Of which two are related only through the third.
    other = snapshot({"a": "0", "b": "b"})
    both = snapshot({"a": "0", "b": "b"}, id_of(root), id_of(other), time=2)
    sides = [snapshot({"a": "1"}, id_of(root)), snapshot({"a": "0", "b": "2"}, id_of(other))]
    assert merged(both, *sides, past=(root, other)).snapshot.tree == tree({"a": "1", "b": "2"})
    edits = [snapshot({"a": name}, id_of(root), time=2) for name in "xyz"]
    found_edits = merged(*edits, past=(root,))
    assert len(found_edits.overridden) == 2
    assert {one.snapshot for one in found_edits.overridden} < set(map(id_of, edits))
    alike = [snapshot({"a": name}, id_of(root), time=time) for name, time in (("x", 2), ("x", 3))]
    assert (
        len(merged(*alike, snapshot({"a": "y"}, id_of(root), time=4), past=(root,)).overridden) == 1
    )


def test_without_the_base_there_is_no_merge() -> None:
    root = snapshot({"a": "0"})
    one, two = snapshot({"a": "1"}, id_of(root)), snapshot({"a": "2"}, id_of(root))
    with pytest.raises(UnknownTreeError, match=id_of(root)):
        merged(one, two, past=())


NAMES = st.sampled_from(["a", "b", "d/a", "d/e/a"])
ENTRIES = st.sampled_from([file("1"), file("2"), file("2", 0o600), link("1"), directory()])
TREES = st.dictionaries(NAMES, ENTRIES).map(tree)
PLACES = st.sampled_from(["d", "d/e"])


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    """Return a proper tree, in which a file or a link may have taken a directory's place."""
    result = dict(draw(TREES))
    if draw(st.booleans()):
        place = f"/etc/nginx/{draw(PLACES)}"
        result = {path: one for path, one in result.items() if not path.startswith(f"{place}/")}
        parent = place.rpartition("/")[0]
        if parent == "/etc/nginx" or parent in result:
            result[place] = draw(st.sampled_from([file("1"), link("1")]))
    proper = {"/etc/nginx", *(path for path, one in result.items() if one.kind == "directory")}
    return {path: one for path, one in result.items() if path.rpartition("/")[0] in proper}


@settings(max_examples=300, deadline=None)
@given(trees(), trees(), trees())
def test_a_merge_is_proper_and_keeps_what_only_one_side_changed(
    base: dict[str, Entry], early: dict[str, Entry], late: dict[str, Entry]
) -> None:
    root = Snapshot(roots=("/etc/nginx",), tree=base, node="192.0.2.11")
    one = Snapshot(roots=root.roots, tree=early, parents=(id_of(root),), time=2, node="192.0.2.11")
    two = Snapshot(roots=root.roots, tree=late, parents=(id_of(root),), time=3, node="192.0.2.11")
    if early == late:
        return
    found = merged(one, two, past=(root,))
    told = {over.path for over in found.overridden}
    for path, entry in (*early.items(), *late.items()):
        if entry.kind != "directory" and base.get(path) != entry:
            assert found.snapshot.tree.get(path) == entry or path in told
    for path, entry in found.snapshot.tree.items():
        assert entry in (early.get(path), late.get(path))
