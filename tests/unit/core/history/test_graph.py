"""The graph of snapshots, and that forgetting a part of it never makes a wrong descendant."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.history.graph import Graph, Relation, resolve

DIAMOND = Graph(
    {
        "root": (),
        "left": ("root",),
        "right": ("root",),
        "merge": ("left", "right"),
        "after": ("merge",),
        "other": (),
    }
)


def test_relations() -> None:
    assert DIAMOND.relation("left", "left") is Relation.SAME
    assert DIAMOND.relation("root", "after") is Relation.BEHIND
    assert DIAMOND.relation("after", "root") is Relation.AHEAD
    assert DIAMOND.relation("left", "right") is Relation.DIVERGED
    assert DIAMOND.relation("after", "other") is Relation.UNRELATED


def test_a_common_ancestor_whose_manifest_is_gone_still_makes_them_related() -> None:
    graph = Graph({"left": ("gone",), "right": ("gone",)})
    assert graph.relation("left", "right") is Relation.DIVERGED
    assert graph.relation("gone", "left") is Relation.BEHIND
    assert graph.merge_bases(["left"], ["right"]) == {"gone"}
    assert graph.unknown("left") == {"gone"}
    assert graph.unknown("never seen") == {"never seen"}
    assert DIAMOND.unknown("after") == frozenset()


def test_merge_bases_are_all_maximal_common_ancestors() -> None:
    crossed = Graph({"r": (), "a": ("r",), "b": ("r",), "x": ("a", "b"), "y": ("a", "b")})
    assert crossed.merge_bases(["x"], ["y"]) == {"a", "b"}
    assert DIAMOND.merge_bases(["left"], ["right"]) == {"root"}
    assert DIAMOND.merge_bases(["left"], ["after"]) == {"left"}
    assert DIAMOND.merge_bases(["left"], ["other"]) == frozenset()


def test_heads_are_no_ancestors_of_others() -> None:
    assert DIAMOND.heads({"root", "left", "right"}) == {"left", "right"}
    assert DIAMOND.heads(DIAMOND.parents.keys()) == {"after", "other"}
    assert DIAMOND.heads(()) == frozenset()


def test_generations_are_the_longest_ways() -> None:
    graph = Graph({"c": ("a", "b"), "b": ("a",), "a": ("gone",)})
    assert graph.generations() == {"a": 0, "b": 1, "c": 2}
    assert graph.oldest_first(graph.parents) == ["a", "b", "c"]


def test_a_long_history_is_no_problem() -> None:
    line = Graph({str(n): (str(n - 1),) if n else () for n in range(20_000)})
    assert line.relation("0", "19999") is Relation.BEHIND


def test_it_answers_the_same_however_often_and_about_however_many_it_is_asked() -> None:
    names = [str(n) for n in range(40)]
    line = Graph({name: tuple(names[n - 1 : n]) for n, name in enumerate(names)})
    for _ in range(2):
        assert [line.ancestors(name) for name in names] == [{*names[:n]} for n in range(40)]


IDS = ["3f2a" + "0" * 60, "3f2a" + "1" * 60, "3f2b" + "0" * 60]


@pytest.mark.parametrize("prefix", ["3f2b", "3F2B0", IDS[2]])
def test_a_snapshot_is_named_by_its_first_digits(prefix: str) -> None:
    assert resolve(prefix, IDS) == IDS[2]


@pytest.mark.parametrize(
    ("prefix", "cause"),
    [
        ("", "at least 4"),
        ("3f2", "at least 4"),
        ("3f2g", "hex digits"),
        ("3f2a ", "hex digits"),
        ("3f2c", "no snapshot starts with 3f2c"),
        (IDS[0] + "0", f"no snapshot starts with {IDS[0]}0"),
        ("3f2a", "it could be 3f2a000000000000, 3f2a111111111111$"),
    ],
)
def test_a_name_that_fits_no_snapshot_or_several_is_refused(prefix: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        resolve(prefix, IDS)


def test_of_many_candidates_some_are_named() -> None:
    with pytest.raises(ValueError, match=r"abcd.* …$") as error:
        resolve("abcd", [f"abcd{n:060}" for n in range(9)])
    assert len(str(error.value)) < 120


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to 8 snapshots; each has up to 2 of the earlier ones as parents."""
    parents: dict[str, tuple[str, ...]] = {}
    for name in "abcdefgh"[: draw(st.integers(2, 8))]:
        earlier = sorted(parents)
        chosen = draw(st.sets(st.sampled_from(earlier), max_size=2)) if earlier else set()
        parents[name] = tuple(sorted(chosen))
    return Graph(parents)


@given(graphs(), st.data())
def test_what_is_forgotten_never_makes_a_descendant(graph: Graph, data: st.DataObject) -> None:
    forgotten = data.draw(st.sets(st.sampled_from(sorted(graph.parents))))
    partial = Graph({one: up for one, up in graph.parents.items() if one not in forgotten})
    for mine, theirs in product(graph.parents, repeat=2):
        found = partial.relation(mine, theirs)
        if found in {Relation.BEHIND, Relation.AHEAD, Relation.SAME}:
            assert found is graph.relation(mine, theirs)


@given(graphs())
def test_relations_are_mirrored_and_bases_are_common_and_maximal(graph: Graph) -> None:
    mirror = {Relation.BEHIND: Relation.AHEAD, Relation.AHEAD: Relation.BEHIND}
    for one, other in product(graph.parents, repeat=2):
        relation = graph.relation(one, other)
        assert graph.relation(other, one) is mirror.get(relation, relation)
        bases = graph.merge_bases([one], [other])
        assert bases == graph.merge_bases([other], [one])
        assert graph.heads(bases) == bases
        assert bool(bases) is (relation is not Relation.UNRELATED)
