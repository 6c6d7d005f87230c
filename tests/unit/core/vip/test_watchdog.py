"""A keepalived that hangs is noticed in time, and one that works is left alone."""

import pytest

from sidecar.core.vip.watchdog import HANGS_AFTER, Watchdog


def watched(*looks: tuple[float, bool, bool]) -> Watchdog:
    """Return what is known after looks at (time, heard, obeys)."""
    watchdog = Watchdog(looked=0.0)
    for now, heard, obeys in looks:
        watchdog = watchdog.after(now, running=True, heard=heard, obeys=obeys)
    return watchdog


def test_one_that_shows_life_is_neither_asked_nor_ended() -> None:
    watchdog = watched(*((half / 2, True, True) for half in range(20)))
    assert (watchdog.asks, watchdog.hangs) == (False, False)


def test_one_that_falls_silent_is_asked_and_then_ended() -> None:
    looks = [(0.5, True, True), *((0.5 + half / 2, False, True) for half in range(1, 5))]
    watchdogs = [watched(*looks[:count]) for count in range(1, 6)]
    assert [watchdog.asks for watchdog in watchdogs] == [False, True, True, True, True]
    assert [watchdog.hangs for watchdog in watchdogs] == [False, False, False, False, True]


def test_an_answer_saves_it() -> None:
    assert watched((0.5, True, True), (1.0, False, True), (1.5, True, True)).silent == 0.0


def test_one_that_has_never_shown_life_is_asked_late_and_not_ended() -> None:
    looks = [(half / 2, False, True) for half in range(10)]
    assert not watched(*looks[:4]).asks
    assert watched(*looks).asks
    assert not watched(*looks).hangs


def test_the_time_that_the_daemon_itself_was_frozen_does_not_count() -> None:
    assert not watched((0.5, True, True), (60.0, False, True), (60.5, False, True)).hangs


@pytest.mark.parametrize(("obeys", "hangs"), [(True, False), (False, True)])
def test_one_that_does_not_obey_is_ended_though_it_lives(obeys: bool, hangs: bool) -> None:
    looks = ((half / 2, True, obeys) for half in range(int(HANGS_AFTER * 2) + 2))
    assert watched(*looks).hangs is hangs


def test_one_that_ended_is_forgotten() -> None:
    silent = watched((0.5, True, True), (1.0, False, True))
    ended = silent.after(1.5, running=False, heard=False, obeys=True)
    assert ended == Watchdog(looked=1.5)
