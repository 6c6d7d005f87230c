import json
from pathlib import Path

import pytest

from sidecar.core.backoff import Backoff
from sidecar.sync.decisions import Decisions, Held, Rejection, State, read

PACE = Backoff(first=5.0, most=300.0, jitter=0.0, free=0)
SOME, OTHER = "0" * 64, "1" * 64


@pytest.fixture
def decisions(tmp_path: Path) -> Decisions:
    return Decisions(tmp_path, PACE)


def test_they_outlive_a_restart(decisions: Decisions, tmp_path: Path) -> None:
    decisions.reject(SOME, "[emerg] no", 100.0)
    decisions.release(OTHER)
    assert read(tmp_path) == decisions.state == Decisions(tmp_path, PACE).state
    assert decisions.state == State(
        rejected={SOME: Rejection(reason="[emerg] no", failures=1, retry=105.0)},
        released=OTHER,
    )


def test_what_is_rejected_again_waits_longer(decisions: Decisions) -> None:
    decisions.reject(SOME, "no", 100.0)
    decisions.reject(SOME, "never", 200.0)
    assert decisions.state.rejected[SOME] == Rejection(reason="never", failures=2, retry=210.0)


def test_what_is_forgiven_is_forgotten_and_what_is_released_is_not(decisions: Decisions) -> None:
    decisions.reject(SOME, "no", 100.0)
    decisions.release(OTHER)
    decisions.forgive()
    assert decisions.state == State(released=OTHER)


def test_a_clock_that_was_ahead_does_not_make_anything_wait_for_long(decisions: Decisions) -> None:
    decisions.reject(SOME, "no", 1e9)
    assert decisions.retries(1e9) == {SOME: 1e9 + 5}
    assert decisions.retries(5e8) == {SOME: 5e8}


def test_with_another_head_what_was_cleared_stays_so(decisions: Decisions, tmp_path: Path) -> None:
    decisions.clear({SOME: ("/etc/nginx/\udcff",)})
    decisions.forget()
    assert read(tmp_path) == decisions.state == State(cleared={SOME: ("/etc/nginx/\udcff",)})


@pytest.mark.parametrize("head", [SOME, None])
def test_what_is_held_by_hand_stays_so_until_it_is_released(
    decisions: Decisions, tmp_path: Path, head: str | None
) -> None:
    assert decisions.hold(head) == decisions.hold(OTHER) == Held(snapshot=head)
    decisions.forget()
    assert read(tmp_path) == decisions.state == State(held=Held(snapshot=head))
    assert decisions.go_on() == Held(snapshot=head)
    assert decisions.go_on() is None
    assert read(tmp_path) == State()


def test_with_another_head_all_is_forgotten(decisions: Decisions, tmp_path: Path) -> None:
    decisions.reject(SOME, "no", 100.0)
    decisions.release(OTHER)
    decisions.forget()
    assert read(tmp_path) == decisions.state == State()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "released": 1}'])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert read(tmp_path) == State()


def test_they_are_written_for_people(decisions: Decisions, tmp_path: Path) -> None:
    decisions.release(SOME)
    body = json.loads((tmp_path / "state.json").read_text())
    assert body == {
        "format": 1,
        "rejected": {},
        "released": SOME,
        "aside": [],
        "cleared": {},
        "held": None,
    }
