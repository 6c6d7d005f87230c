"""The schedule of the full check: cron's slots, one run for all that were missed."""

import asyncio
import json
import time
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sidecar.sync.schedule import Schedule, next_run

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("*/5 * * * *", "2026-11-23 12:00:01", "2026-11-23 12:05:00"),
        ("*/5 * * * *", "2026-11-23 12:05:00", "2026-11-23 12:10:00"),
        ("0 4 * * *", "2026-11-23 12:00:00", "2026-11-24 04:00:00"),
        # 02:30 does not exist on the day when summer time begins: cron runs it at once after.
        ("30 2 * * *", "2027-03-28 01:00:00", "2027-03-28 03:00:00"),
        # 02:30 comes twice on the day when it ends, and the job once.
        ("30 2 * * *", "2026-10-25 01:00:00", "2026-10-25 02:30:00"),
        ("30 2 * * *", "2026-10-25 02:30:00", "2026-10-26 02:30:00"),
    ],
)
def test_the_next_run_in_local_time(expression: str, after: str, expected: str) -> None:
    begun = datetime.fromisoformat(after).replace(tzinfo=BERLIN).timestamp()
    found = datetime.fromtimestamp(next_run(expression, begun, BERLIN), BERLIN)
    assert found.replace(tzinfo=None).isoformat(" ") == expected


def test_every_five_minutes_has_no_hole_when_the_clock_changes() -> None:
    moment = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    for _ in range(36):
        following = datetime.fromtimestamp(next_run("*/5 * * * *", moment.timestamp(), BERLIN), UTC)
        assert following - moment == timedelta(minutes=5)
        moment = following


async def test_what_was_missed_is_one_run_and_the_next_is_due_later(tmp_path: Path) -> None:
    memory = tmp_path / "schedule.json"
    memory.write_text(json.dumps({"format": 1, "last": time.time() - 7 * 86400}))
    schedule = Schedule("0 * * * *", UTC, memory, share=0.0)
    async with aclosing(schedule.runs()) as runs:
        await anext(runs)
    assert schedule.next > time.time()
    assert Schedule("0 * * * *", UTC, memory, share=0.0).next == schedule.next


def test_a_first_start_waits_for_the_next_slot(tmp_path: Path) -> None:
    assert Schedule("0 * * * *", UTC, tmp_path / "none.json", share=0.0).next > time.time()


def test_the_nodes_spread_over_a_tenth_of_the_time(tmp_path: Path) -> None:
    first, second = (
        Schedule("0 * * * *", UTC, tmp_path / "none.json", share=share).next for share in (0.0, 0.5)
    )
    assert second - first == pytest.approx(180)


def test_a_damaged_memory_counts_as_none(tmp_path: Path) -> None:
    memory = tmp_path / "schedule.json"
    memory.write_text("not JSON")
    assert Schedule("0 * * * *", UTC, memory, share=0.0).next > time.time()


async def test_a_clock_that_was_ahead_does_not_stop_the_runs(tmp_path: Path) -> None:
    memory = tmp_path / "schedule.json"
    memory.write_text(json.dumps({"format": 1, "last": time.time() + 7 * 86400}))
    schedule = Schedule("0 * * * *", UTC, memory, share=0.0)
    with suppress(TimeoutError):
        await asyncio.wait_for(anext(schedule.runs()), 0.01)
    assert schedule.next <= time.time() + 3600
