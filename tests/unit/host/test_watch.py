import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sidecar.host import watch
from sidecar.host.watch import changes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    (path / "a").write_text("1")
    return path


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.05)


class Seen:
    """Collects the times at which changes were told."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._more = asyncio.Event()

    async def collect(self, *roots: Path) -> None:
        async for _ in changes(*roots):
            self.times.append(time.monotonic())
            self._more.set()

    async def one_more(self) -> None:
        self._more.clear()
        async with asyncio.timeout(5):
            await self._more.wait()

    async def nothing_more(self, seconds: float) -> None:
        count = len(self.times)
        await asyncio.sleep(seconds)
        assert len(self.times) == count


@contextlib.asynccontextmanager
async def watching(*roots: Path) -> AsyncIterator[Seen]:
    seen = Seen()
    task = asyncio.create_task(seen.collect(*roots))
    await asyncio.sleep(0.1)
    yield seen
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_what_happens_below_a_root_is_told_once_it_is_quiet(root: Path) -> None:
    async with watching(root) as seen:
        await seen.nothing_more(0.7)
        begun = time.monotonic()
        (root / "a").write_text("2")
        await seen.one_more()
        assert 0.35 < seen.times[-1] - begun < 1.5
        await seen.nothing_more(0.7)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a").chmod(0o600),
        lambda root: (root / "a").rename(root / "d" / "b"),
        lambda root: (root / "a").unlink(),
        lambda root: (root / "link").symlink_to("a"),
        lambda root: (root / "d").rmdir(),
        lambda root: (root / "d" / "e").write_text(""),
    ],
    ids=["chmod", "rename", "delete", "link", "directory", "deep"],
)
async def test_every_kind_of_change_is_told(root: Path, change: Callable[[Path], None]) -> None:
    (root / "d").mkdir()
    async with watching(root) as seen:
        await asyncio.sleep(0.5)
        change(root)
        await seen.one_more()


async def test_what_happens_in_new_directories_is_told(root: Path) -> None:
    async with watching(root) as seen:
        (root / "d" / "e").mkdir(parents=True)
        await seen.one_more()
        (root / "d" / "e" / "f").write_text("")
        await seen.one_more()


async def test_reading_is_no_change(root: Path) -> None:
    async with watching(root) as seen:
        (root / "a").read_text()
        await seen.nothing_more(1)


async def test_a_change_at_the_start_is_not_missed(root: Path) -> None:
    seen = Seen()
    task = asyncio.create_task(seen.collect(root))
    while not (root / "b").exists():
        await asyncio.sleep(0.01)
        (root / "b").write_text("")
    await seen.one_more()
    task.cancel()


async def test_a_burst_is_told_once(root: Path) -> None:
    async with watching(root) as seen:
        for number in range(30):
            (root / str(number)).write_text("")
            await asyncio.sleep(0.02)
        await seen.one_more()
        await seen.nothing_more(0.8)


async def test_changes_without_end_are_told_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 1.0)
    async with watching(root) as seen:
        begun = time.monotonic()
        while not seen.times and time.monotonic() - begun < 5:
            (root / "log").write_text(str(begun))
            await asyncio.sleep(0.05)
        assert 0.9 < time.monotonic() - begun < 4


async def test_a_root_that_is_replaced_is_watched_again(root: Path) -> None:
    async with watching(root) as seen:
        replace(root)
        await seen.one_more()
        await asyncio.sleep(0.5)
        (root / "new").write_text("")
        await seen.one_more()


def replace(root: Path) -> None:
    root.rename(root.with_name("aside"))
    root.mkdir()


@pytest.mark.usefixtures("fast")
async def test_a_root_that_is_missing_is_looked_for(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "later"
    async with watching(root, other) as seen:
        (root / "a").write_text("2")
        await seen.one_more()
        other.mkdir()
        await seen.one_more()
        await asyncio.sleep(0.6)
        (other / "b").write_text("")
        await seen.one_more()
    assert warnings(caplog)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("error", [OSError("OS file watch limit reached"), RuntimeError("limit")])
async def test_where_the_kernel_tells_nothing_changes_are_looked_for(
    root: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_roots: Path, **_options: object) -> Iterator[None]:
        yield from ()
        raise error

    monkeypatch.setattr(watch, "watch", refuse)
    async with watching(root) as seen:
        await asyncio.sleep(0.2)
        (root / "a").write_text("other")
        await seen.one_more()
    assert len(warnings(caplog)) == 1


@pytest.mark.usefixtures("fast")
async def test_file_systems_that_tell_nothing_are_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "mounts", lambda: {"/": "fuse.sshfs"})
    async with watching(root) as seen:
        (root / "a").write_text("other")
        await seen.one_more()
    assert len(warnings(caplog)) == 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]
