from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.cooldown import ALL, PATH, Cooldown


def loads(gap: float, seconds: float, *names: str) -> list[float]:
    """Return when files that are written in turn, one each `gap` seconds, are loaded."""
    cooldown, now, found, waiting = Cooldown(), 0.0, list[float](), set[str]()
    for turn in range(int(seconds / gap)):
        now = turn * gap
        waiting.add(names[turn % len(names)])
        if cooldown.wait(waiting, now) == 0.0:
            cooldown = cooldown.after(waiting, now)
            waiting.clear()
            found.append(now)
    return found


def test_what_is_written_each_second_is_loaded_less_and_less_often() -> None:
    assert loads(1.0, 100.0, "ticking") == [0, 1, 2, 3, 5, 9, 17, 33, 63, 93]


@pytest.mark.parametrize("gap", [2.0, 5.0, 60.0])
def test_a_person_never_waits_for_a_file_edited_again_and_again(gap: float) -> None:
    assert len(loads(gap, 50 * gap, "site")) == 50


def test_what_many_write_is_loaded_once_in_two_seconds_however_often_it_changes() -> None:
    cooldown, loaded = Cooldown(shared=frozenset({"all"})), list[float]()
    for turn in range(600):
        now = turn / 10
        if cooldown.wait({"all"}, now) == 0.0:
            cooldown = cooldown.after({"all"}, now)
            loaded.append(now)
    assert loaded[2:5] == [0.2, 2.2, 4.2]
    assert len(loaded) <= 32  # and fewer with the time that each takes to settle


def test_nor_for_one_file_after_the_other() -> None:
    assert len(loads(1.5, 60.0, *(f"site{number}" for number in range(40)))) == 40


def test_many_files_in_turn_lead_to_a_reload_in_two_seconds_in_the_long_run() -> None:
    found = loads(0.5, 100.0, *(f"site{number}" for number in range(200)))
    assert found[:11] == [turn * 0.5 for turn in range(11)]
    assert {after - before for before, after in pairwise(found[20:])} == {2.0}


def test_a_file_that_keeps_changing_delays_no_other() -> None:
    cooldown = Cooldown()
    for now in range(8):
        cooldown = cooldown.after({"ticking"}, float(now))
    assert cooldown.wait({"ticking"}, 8.0) > 10.0
    assert cooldown.wait({"ticking", "site"}, 8.0) == 0.0


def test_after_a_rest_all_is_forgotten() -> None:
    cooldown = Cooldown()
    for _ in range(30):
        cooldown = cooldown.after({"site"}, 0.0)
    assert cooldown.wait({"site"}, 0.0) == PATH.most
    assert cooldown.wait((), 0.0) == ALL.most
    rested = cooldown.after({"other"}, 200.0)
    assert rested.paths.keys() == {"other"}
    assert rested.wait({"site", "other"}, 200.0) == 0.0


@given(st.lists(st.floats(0.0, 100.0)))
def test_nobody_waits_for_ever(gaps: list[float]) -> None:
    cooldown, now = Cooldown(), 0.0
    for gap in gaps:
        now += gap
        cooldown = cooldown.after({"site"}, now)
        assert 0.0 <= cooldown.wait({"site"}, now) <= PATH.most
