"""The timeline of a node in this process."""

import asyncio
from pathlib import Path

import pytest

from sidecar.core.report import Role
from sidecar.core.timeline import Advert, Event, EventKind
from sidecar.daemon.chronicle import Chronicle
from tests.unit.reports import EMPTY

NODE, PEER = "192.0.2.11", "192.0.2.12"
HEARD = Event(time=1_700_000_000.0, node=PEER, kind=EventKind.START, subject="0.1.0")


def chronicle(path: Path, *heard: Event, advert: Advert | None = None) -> Chronicle:
    return Chronicle(
        NODE,
        path,
        heard=lambda: heard,
        advert=lambda: advert,
        why=lambda: "",
        silence=0.3,
    )


def content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


async def kept(one: Chronicle, path: Path) -> None:
    """Let it run until it has written what it knows."""
    one.see(EMPTY)
    before = content(path)
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(10):
        while content(path) == before:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_timeline_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    first = chronicle(path, HEARD)
    first.on_role(Role.MASTER)
    await kept(first, path)
    assert {event.kind for event in first.events} == {EventKind.START, EventKind.ROLE}
    second = chronicle(path)
    await kept(second, path)
    assert set(first.events) < set(second.events)


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"events": 1}', b"[" * 99_999])
async def test_a_damaged_timeline_begins_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "timeline.json"
    path.write_bytes(damage)
    one = chronicle(path)
    await kept(one, path)
    assert [event.kind for event in one.events] == [EventKind.START]
    assert [event.kind for event in chronicle(path).events] == [EventKind.START]


async def test_a_disk_that_cannot_be_used_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = chronicle(tmp_path / "file" / "timeline.json")
    (tmp_path / "file").touch()
    one.on_role(Role.BACKUP)
    one.see(EMPTY)
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(5):
        while "cannot save the timeline" not in caplog.text:
            await asyncio.sleep(0.01)
    assert not running.done()
    assert len(one.events) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
