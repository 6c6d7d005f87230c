"""The life of a supervised program: the drawn transitions and no other; the pace of restarts."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.backoff import Backoff
from sidecar.core.report import ServiceState
from sidecar.core.service import TRANSITIONS, IllegalTransitionError, change

DRAWN = {
    "stopped starting",
    "starting running",
    "starting backoff",
    "starting stopping",
    "running backoff",
    "running stopping",
    "backoff starting",
    "backoff gave-up",
    "backoff stopped",
    "stopping stopped",
}


def test_the_table_is_the_drawing() -> None:
    assert {f"{old} {new}" for old, new in TRANSITIONS} == DRAWN


def test_only_drawn_transitions_are_legal() -> None:
    for old, new in product(ServiceState, repeat=2):
        if (old, new) in TRANSITIONS:
            assert change(old, new) is new
        else:
            with pytest.raises(IllegalTransitionError):
                change(old, new)


def test_the_first_restart_is_immediate_and_the_next_ones_double() -> None:
    backoff = Backoff(jitter=0.0)
    assert [backoff.delay(failures, 0.5) for failures in range(1, 9)] == [
        0.0,
        0.5,
        1.0,
        2.0,
        4.0,
        8.0,
        16.0,
        30.0,
    ]


@given(st.integers(min_value=0, max_value=10**6), st.floats(min_value=0, max_value=0.999))
def test_no_delay_is_longer_than_the_cap_and_its_jitter(failures: int, chance: float) -> None:
    assert 0 <= Backoff().delay(failures, chance) <= 30.0 * 1.1


def test_it_gives_up_after_enough_failures() -> None:
    assert not Backoff(attempts=3).exhausted(2)
    assert Backoff(attempts=3).exhausted(3)
