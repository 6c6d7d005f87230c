import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.cooldown import MOST, Cooldown


def loads(gap: float, seconds: float) -> list[float]:
    """Return when a file that is written every `gap` seconds is loaded."""
    cooldown, now, found = Cooldown(), 0.0, []
    while now < seconds:
        if cooldown.wait(now) == 0.0:
            cooldown = cooldown.after(now)
            found.append(now)
        now += gap
    return found


def test_what_is_written_each_second_is_loaded_less_and_less_often() -> None:
    assert loads(1.0, 100.0) == [0, 1, 2, 3, 5, 9, 17, 33, 63, 93]


@pytest.mark.parametrize("gap", [2.0, 5.0, 60.0])
def test_a_person_never_waits(gap: float) -> None:
    assert len(loads(gap, 50 * gap)) == 50


def test_after_a_rest_all_is_forgotten() -> None:
    cooldown = Cooldown()
    for _ in range(10):
        cooldown = cooldown.after(0.0)
    assert cooldown.wait(0.0) == MOST
    rested = cooldown.after(100.0)
    assert rested.level == 1.0
    assert rested.wait(100.0) == 0.0


@given(st.lists(st.floats(0.0, 100.0)))
def test_nobody_waits_for_ever(gaps: list[float]) -> None:
    cooldown, now = Cooldown(), 0.0
    for gap in gaps:
        now += gap
        cooldown = cooldown.after(now)
        assert 0.0 <= cooldown.wait(now) <= MOST
