"""What the history shows first is what is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.history.retention import graph_of, newest_first, retained
from sidecar.core.history.snapshot import Header


def header(*parents: str, time: float) -> Header:
    return Header(roots=("/etc/nginx",), tree="0" * 64, parents=tuple(sorted(parents)), time=time)


LINE = {
    f"{number:02}": header(*([f"{number - 1:02}"] if number else []), time=float(number))
    for number in range(10)
}


def test_a_child_comes_before_its_parents_even_if_its_clock_was_late() -> None:
    history = {
        "a": header(time=1000.0),
        "b": header("a", time=10.0),
        "d": header("f", time=1050.0),
        "c": header("d", "b", time=1050.0),
    }
    assert newest_first(history) == ["c", "d", "b", "a"]


@pytest.mark.parametrize(
    ("heads", "most", "kept"),
    [
        (["09"], 3, {"07", "08", "09"}),
        (["09"], 0, {"09"}),
        (["09", "gone"], 1, {"09"}),
        (["02"], 2, {"02", "08", "09"}),
        (["09", "fork"], 2, {"08", "09", "fork", "02"}),
    ],
)
def test_the_newest_are_kept_with_the_heads_and_what_merging_them_needs(
    heads: list[str], most: int, kept: set[str]
) -> None:
    assert retained(LINE | {"fork": header("02", time=0.0)}, heads, most) == kept


def test_an_edit_here_is_kept_however_many_were_made_elsewhere_meanwhile() -> None:
    theirs = {
        f"{number:02}": header(*([f"{number - 1:02}"] if number else []), time=float(number))
        for number in range(61)
    }
    mine = header("00", time=100.0)
    rollback = header("mine", "60", time=101.0)
    history = theirs | {"mine": mine, "rollback": rollback}
    assert newest_first(history)[:2] == ["rollback", "mine"]
    assert retained(history, ["rollback"], 50) >= {"rollback", "mine"}


def test_a_long_history_is_no_problem() -> None:
    line = {
        f"{number:05}": header(*([f"{number - 1:05}"] if number else []), time=float(number))
        for number in range(20_000)
    }
    assert len(retained(line, ["19999"], 50)) == 50


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Header]:
    found: dict[str, Header] = {}
    for name in "abcdefgh"[: draw(st.integers(1, 8))]:
        parents = draw(st.sets(st.sampled_from(sorted(found)), max_size=2)) if found else set()
        found[name] = header(*parents, time=float(draw(st.integers(0, 3))))
    return found


@given(histories(), st.data(), st.integers(0, 9))
def test_what_the_history_shows_first_is_kept_in_whatever_order_it_was_learnt(
    history: dict[str, Header], data: st.DataObject, most: int
) -> None:
    shown = newest_first(history)
    other = {name: history[name] for name in data.draw(st.permutations(sorted(history)))}
    assert newest_first(other) == shown
    heads = graph_of(history).heads(history)
    assert retained(history, heads, most) >= {*heads, *shown[:most]}
    for name, one in history.items():
        assert all(shown.index(name) < shown.index(parent) for parent in one.parents)
