import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest

from sidecar.host import inotify, watch, writers
from sidecar.host.inotify import Inotify, LostError
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

    async def collect(self, *roots: Path, single: Collection[Path] = ()) -> None:
        async for _ in changes(*roots, single=single):
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
async def watching(*roots: Path, single: Collection[Path] = ()) -> AsyncIterator[Seen]:
    seen = Seen()
    task = asyncio.create_task(seen.collect(*roots, single=single))
    await seen.one_more()  # the one at the beginning
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
        assert watch.SETTLE <= seen.times[-1] - begun < 1.5
        await seen.nothing_more(0.7)


async def test_who_asks_knows_at_once_when_all_is_whole(root: Path) -> None:
    told: list[float] = []

    async def collect() -> None:
        async for _ in changes(root, whole_at=told.append):
            pass

    task = asyncio.create_task(collect())
    async with asyncio.timeout(10):
        while not told:
            (root / "b").symlink_to("a")
            await asyncio.sleep(0.05)
            (root / "b").unlink()
        with (root / "a").open("w"):
            while told[-1] < time.monotonic():
                await asyncio.sleep(0.01)
        while told[-1] > time.monotonic():
            await asyncio.sleep(0.01)
    task.cancel()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes gets much time, so that a busy machine tests the same."""
    monkeypatch.setattr(writers, "CLOSES_WITHIN", 3.0)
    monkeypatch.setattr(writers, "GOES_ON_WITHIN", 1.5)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("name", ["a", "new"])
async def test_a_file_that_is_being_written_is_told_once_it_is_whole(root: Path, name: str) -> None:
    async with watching(root) as seen:
        with (root / name).open("w") as file:  # it is empty from now on
            await seen.nothing_more(0.5)
            file.write("server {")
            file.flush()
            await seen.nothing_more(0.2)
            file.write("}")
        closed = time.monotonic()
        await seen.one_more()
        assert watch.SETTLE <= seen.times[-1] - closed < 1.5
        await seen.nothing_more(0.7)


@pytest.mark.usefixtures("slow")
async def test_a_file_that_is_being_replaced_is_not_missed(root: Path) -> None:
    async with watching(root) as seen:
        (root / "a").rename(root / "a~")
        await seen.nothing_more(0.5)
        (root / "a").write_text("2")
        back = time.monotonic()
        await seen.one_more()
        assert watch.SETTLE <= seen.times[-1] - back < 1.5
        await seen.nothing_more(0.7)


@pytest.mark.parametrize("end", ["replaced", "removed", "moved"])
async def test_a_file_that_is_gone_is_not_waited_for(
    root: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "CLOSES_WITHIN", 3.0)
    async with watching(root) as seen:
        with (root / "a").open("w"):
            match end:
                case "replaced":
                    (root / "b").touch()
                    (root / "b").rename(root / "a")
                case "removed":
                    (root / "a").unlink()
                case _:
                    (root / "a").rename(root.parent / "elsewhere")
            gone = time.monotonic()
            await seen.one_more()
            assert seen.times[-1] - gone < 2


async def test_a_link_is_whole_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "CLOSES_WITHIN", 3.0)
    async with watching(root) as seen:
        made = time.monotonic()
        (root / "soft").symlink_to("a")
        (root / "hard").hardlink_to(root / "a")
        await seen.one_more()
        assert seen.times[-1] - made < 2


async def test_a_file_that_stays_open_delays_others_only_at_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "CLOSES_WITHIN", 2.0)
    async with watching(root) as seen:
        with (root / "log").open("w") as log:
            begun = time.monotonic()
            await seen.one_more()
            assert seen.times[-1] - begun >= 2.0
            log.write("2")
            log.flush()
            (root / "a").write_text("2")
            edited = time.monotonic()
            await seen.one_more()
            assert seen.times[-1] - edited < 1.5


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
        with (root / "a").open("a"):  # nor is the wish to write
            pass
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
        while not seen.times[1:] and time.monotonic() - begun < 5:
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
async def test_where_the_kernel_refuses_changes_are_looked_for_until_it_may_be_asked_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inotify, "MAX_DIRECTORIES", 2)
    monkeypatch.setattr(watch, "LIMIT_LASTS", 1.0)
    (root / "d" / "e").mkdir(parents=True)
    async with watching(root) as seen:
        (root / "a").write_text("other")
        await seen.one_more()
        monkeypatch.setattr(inotify, "MAX_DIRECTORIES", 100)
        await seen.one_more()  # the one at the beginning of being told again
        (root / "d" / "e" / "f").write_text("")
        await seen.one_more()
    assert len(warnings(caplog)) == 1


async def test_more_than_the_kernel_remembers_is_seen_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(_self: Inotify) -> bool:
        monkeypatch.undo()
        raise LostError

    async with watching(root) as seen:
        monkeypatch.setattr(Inotify, "read", forget)
        (root / "a").write_text("other")
        await seen.one_more()
        (root / "a").write_text("another")
        await seen.one_more()


async def test_no_link_is_followed(root: Path) -> None:
    (root / "rootlink").symlink_to("/")
    outside = root.with_name("outside")
    outside.mkdir()
    (root / "link").symlink_to(outside)
    begun = time.monotonic()
    async with watching(root) as seen:
        assert time.monotonic() - begun < 1
        (outside / "file").write_text("")
        await seen.nothing_more(0.7)


async def test_names_that_are_not_utf8_are_names(root: Path) -> None:
    strange = root / os.fsdecode(b"caf\351")
    async with watching(root) as seen:
        strange.mkdir()
        await seen.one_more()
        (strange / "file").write_text("")
        await seen.one_more()
        (strange / "file").write_text("more")
        await seen.one_more()


async def test_a_directory_that_moves_is_watched_where_it_is_and_no_more_elsewhere(
    root: Path,
) -> None:
    (root / "d" / "e").mkdir(parents=True)
    outside = root.with_name("outside")
    async with watching(root) as seen:
        (root / "d").rename(root / "f")
        await seen.one_more()
        (root / "f" / "e" / "g").mkdir()
        await seen.one_more()
        (root / "f" / "e" / "g" / "h").write_text("")
        await seen.one_more()
        (root / "f").rename(outside)
        await seen.one_more()
        (outside / "e" / "i").write_text("")
        await seen.nothing_more(0.7)


async def test_a_single_file_is_watched_also_after_another_took_its_place(root: Path) -> None:
    file = root / "a"
    async with watching(single=[file, root]) as seen:
        for text in ("2", "3"):
            (root / "new").write_text(text)
            (root / "new").rename(file)
            await seen.one_more()
        file.write_text("4")
        await seen.one_more()


async def test_a_single_directory_is_watched_without_what_is_below(root: Path) -> None:
    (root / "d").mkdir()
    async with watching(single=[root, root / "missing"]) as seen:
        (root / "d" / "e").write_text("")
        await seen.nothing_more(0.7)


async def test_who_never_stops_writing_does_not_hold_the_loop(root: Path) -> None:
    writer = await asyncio.create_subprocess_shell(
        f"cd '{root}'; while :; do : >x; rm x; echo >>y; done"
    )
    try:
        async with watching(root) as seen:
            worst, end = 0.0, time.monotonic() + 2
            while time.monotonic() < end:
                before = time.monotonic()
                await asyncio.sleep(0)
                worst = max(worst, time.monotonic() - before)
                await asyncio.sleep(0.01)
            assert worst < 0.1
            assert len(seen.times) == 1
    finally:
        writer.kill()
        await writer.wait()


@pytest.mark.usefixtures("fast")
async def test_file_systems_that_tell_nothing_are_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "mounts", lambda: {"/": "fuse.sshfs"})
    async with watching(root) as seen:
        assert watch.polled() == (str(root),)
        (root / "a").write_text("other")
        await seen.one_more()
    assert not watch.polled()
    assert len(warnings(caplog)) == 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]
