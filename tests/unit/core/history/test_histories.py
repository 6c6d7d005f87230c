"""Random histories of clusters: `make unit` runs 10,000 of them, and `make fuzz` goes on."""

from collections.abc import Callable
from itertools import count

import pytest

from sidecar.core.history import merge, reconcile
from tests.fuzz import model
from tests.fuzz.happening import shrink
from tests.fuzz.histories import History, make, run
from tests.fuzz.model import settle
from tests.fuzz.world import World
from tests.unit.trees import ROOT

NUMBERS = range(400)
MOST = 4000
"""Histories within which a bug is found."""


def test_nothing_that_must_be_true_is_ever_not() -> None:
    assert [(number, why) for number in NUMBERS if (why := run(make(number)))] == []


@pytest.mark.parametrize(
    ("place", "name", "bug"),
    [
        (merge._Contest, "_is_old", lambda *_: False),
        (merge._Contest, "_loses", lambda *_: False),
        (model, "is_restored", lambda *_: False),
        (model, "guard", lambda *_: None),
        (model, "serves", lambda _: True),
        (reconcile, "_harmless", lambda *_: True),
    ],
)
def test_a_bug_is_found(
    place: object, name: str, bug: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, bug)
    assert any(run(make(number)) for number in range(MOST))


def test_two_that_clash_hold_no_third_up() -> None:
    world = World.begun(3, (0, 0, 0), joined=True)
    one, two, third = world.nodes
    for node, what in ((one, "clash"), (two, "clash"), (third, "edit")):
        world.do((world.number + 1, what, world.nodes.index(node), 0, 1))
        world.do((world.number + 1, "accept", world.nodes.index(node), 0, 1))
    edited = third.live[f"{ROOT}/a"]
    settle(world.nodes)
    assert one.live[f"{ROOT}/a"] == two.live[f"{ROOT}/a"] == edited
    assert one.head != two.head
    world.end()


def test_a_history_that_fails_is_told_without_what_does_not_matter() -> None:
    def fails(history: History) -> bool:
        return {"edit", "pull"} <= {what for _, what, *_ in history.operations}

    long = next(history for number in count() if fails(history := make(number)))
    short = shrink(long, fails)
    assert sorted(what for _, what, *_ in short.operations) == ["edit", "pull"]
    assert str(short).count("\n") == 2
