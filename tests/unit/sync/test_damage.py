"""Whatever lies in the state directory, a node starts, keeps its files, and syncs again."""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest

from sidecar.core.settings import Identity
from sidecar.errors import SidecarError
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.sync import mend
from sidecar.sync.decisions import Decisions
from sidecar.sync.engine import RETRY
from sidecar.sync.passes import Passes
from sidecar.sync.schedule import Schedule
from sidecar.sync.service import Sync
from sidecar.sync.store import History
from tests.unit.settings.example import load_with
from tests.unit.sync.node import Served

CONFIG: Final = Path(__file__).parents[3] / "config"


def _directory(path: Path) -> None:
    path.mkdir()
    (path / "something").write_text("x")


MUTATIONS: Final[Mapping[str, Callable[[Path], object]]] = {
    "nothing": lambda _path: None,
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(70)),
    "not-utf8": lambda path: path.write_bytes(b"\xff\xfe\x80" * 20),
    "random": lambda path: path.write_bytes(os.urandom(5000)),
    "huge": lambda path: path.write_bytes(b"9" * 5_000_000),
    "nested": lambda path: path.write_bytes(b"[" * 100_000),
    "number": lambda path: path.write_bytes(b'{"format": 1, "last": 1e999, "released": NaN}'),
    "integer": lambda path: path.write_bytes(b'{"format": 1, "last": %s}' % (b"9" * 400)),
    "id": lambda path: path.write_bytes(b"0" * 64),
    "directory": _directory,
    "fifo": os.mkfifo,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "loop": lambda path: path.symlink_to(path.name),
    "device": lambda path: path.symlink_to("/dev/zero"),
}

FILES: Final = (
    "history",
    "history/head",
    "history/version",
    "history/state.json",
    "history/snapshots",
    "history/snapshots/HEAD",
    "history/snapshots/OLD",
    "history/objects",
    "history/objects/OBJECT",
    "history/incoming",
    "history/incoming/192.0.2.12",
    "history/incoming/192.0.2.12/objects",
    "history/damaged",
    "journal",
    "journal/journal",
    "journal/journal.damaged",
    "schedule.json",
    "drain",
)


class Place:
    """A node with two snapshots and all the files that its state may have."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.site = directory / "tree" / "site.conf"
        self.state = directory / "state"
        self.names: dict[str, str] = {}

    async def fill(self) -> None:
        self.site.parent.mkdir()
        for text in ("old", "new"):
            self.site.write_text(text)
            passes = await self.opened()
            await passes._pass()
        history = History(self.state / "history")
        head = history.head()
        assert head is not None
        self.names = {
            "HEAD": head,
            "OLD": history.get(head).parents[0],
            "OBJECT": history.get(head).tree[str(self.site)].digest,
        }
        Decisions(history.directory, RETRY).reject("1" * 64, "no", 0.0)
        (self.state / "drain").touch()
        (self.state / "schedule.json").write_text('{"format": 1, "last": 5.0}')

    def sync(self) -> Sync:
        roots = str(self.site.parent)
        paths = Paths(state=self.state, run=self.directory / "run", config=CONFIG)
        paths.run.mkdir(exist_ok=True)
        node, peer = ip_address("192.0.2.11"), ip_address("192.0.2.12")
        return Sync(
            load_with(HA_SYNC_PATHS=roots, HA_SYNC_SOAK="0s", HA_NGINX="off").settings,
            Identity(node=node, index=0, interface="eth0", peers=(peer,)),
            paths,
            Served(),
            on_change=lambda: None,
        )

    async def opened(self) -> Passes:
        sync = self.sync()
        await sync.open()
        sync.report()
        assert sync._passes is not None
        return sync._passes

    def mutate(self, name: str, mutation: str) -> None:
        for key, value in self.names.items():
            name = name.replace(key, value)
        path = self.state / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        MUTATIONS[mutation](path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "ALONE_AFTER", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", FILES)
async def test_no_file_of_ours_keeps_a_node_from_its_files_or_from_syncing_again(
    tmp_path: Path, name: str
) -> None:
    template = Place(tmp_path / "place")
    template.directory.mkdir()
    await template.fill()
    shutil.copytree(template.state, tmp_path / "state", symlinks=True)
    for mutation in MUTATIONS:
        shutil.rmtree(template.state)
        shutil.copytree(tmp_path / "state", template.state, symlinks=True)
        template.site.write_text("new")
        template.mutate(name, mutation)
        passes = await template.opened()
        assert template.site.read_text() == "new", mutation
        await passes._pass()
        assert passes.engine.report(0.0).holds == (), mutation
        assert template.site.read_text() == "new", mutation
        template.site.write_text(f"later than {mutation}")
        await passes._pass()
        assert passes.engine.report(0.0).holds == (), mutation
        assert passes.engine.head is not None
        assert passes.engine.head not in template.names.values()
        tree = passes.engine._history.get(passes.engine.head).tree
        assert passes.engine._history.read(tree[str(template.site)].digest).startswith(b"later")


async def test_sync_that_cannot_be_opened_is_off_with_a_way_out_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sidecar.sync.service.RETRY", RETRY.__class__(first=0.01, jitter=0.0, free=0)
    )
    place = Place(tmp_path)
    await place.fill()
    (place.state / "history" / "version").write_text("2\n")
    sync = place.sync()
    await sync.open()
    (hold,) = sync.report().holds
    assert hold.reason == "off"
    assert "its version is not 1" in hold.message
    assert hold.hint
    assert sync.head is None
    with pytest.raises(SidecarError, match="its version is not 1"):
        _ = sync.desk
    (place.state / "history" / "version").write_text("1\n")
    opened = asyncio.Event()
    sync._on_change = opened.set
    running = asyncio.create_task(sync.run())
    try:
        async with asyncio.timeout(10):
            await opened.wait()
        assert sync._passes is not None
        assert sync._passes.engine.head == place.names["HEAD"]
        assert "off" not in {one.reason for one in sync.report().holds}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_disk_that_cannot_read_the_head_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    await place.fill()
    with monkeypatch.context() as patch:
        patch.setattr(files, "open_regular", _broken(files.open_regular, place.state))
        sync = place.sync()
        await sync.open()
        sync.report()
    passes = await place.opened()
    await passes._pass()
    assert passes.engine.report(0.0).holds == ()
    assert place.site.read_text() == "new"


def _broken[T](opening: Callable[[Path], T], below: Path) -> Callable[[Path], T]:
    def fail(path: Path) -> T:
        if path.is_relative_to(below):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opening(path)

    return fail


async def test_what_a_damaged_journal_may_have_left_half_done_waits_for_a_person(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    await place.fill()
    (place.state / "journal" / "journal").write_bytes(b"\xff")
    place.site.write_text("half")
    passes = await place.opened()
    await passes._pass()
    (hold,) = passes.engine.report(0.0).holds
    assert hold.reason == "interrupted"
    assert passes.engine.head == place.names["HEAD"]
    await passes._worker.do(passes.engine.release)
    await passes._pass()
    assert passes.engine.report(0.0).holds == ()
    assert passes.engine.head != place.names["HEAD"]


async def test_the_manifest_of_a_head_that_nobody_has_is_followed_by_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    await place.fill()
    manifest = place.state / "history" / "snapshots" / place.names["HEAD"]
    manifest.write_bytes(manifest.read_bytes().replace(b'"mode"', b'"mOde"'))
    place.site.write_text("edited")
    passes = await place.opened()
    assert await passes._pass() == RETRY.first
    (hold,) = passes.engine.report(0.0).holds
    assert (hold.reason, passes.engine.head) == ("failed", place.names["HEAD"])
    assert hold.hint
    monkeypatch.setattr(mend, "ALONE_AFTER", 0.0)
    await passes._pass()
    assert passes.engine.report(0.0).holds == ()
    assert passes.engine.head is not None
    assert passes.engine._history.get(passes.engine.head).parents == (place.names["HEAD"],)
    assert place.names["OLD"] in passes.engine._history.graph().ancestors(passes.engine.head)


async def test_an_empty_folder_follows_no_damaged_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend, "ALONE_AFTER", 0.0)
    place = Place(tmp_path)
    await place.fill()
    place.mutate("history/snapshots/HEAD", "empty")
    place.site.unlink()
    passes = await place.opened()
    for _ in range(2):
        assert await passes._pass() == RETRY.first
        assert passes.engine.head == place.names["HEAD"]


async def test_a_damaged_manifest_comes_again_from_a_peer(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await place.fill()
    manifest = place.state / "history" / "snapshots" / place.names["HEAD"]
    text = manifest.read_bytes()
    manifest.write_bytes(b"\0" * 100)
    place.site.write_text("edited")
    passes = await place.opened()
    asked = []

    async def fetch(peer: object, ids: object = None) -> None:
        asked.append((peer, ids))
        manifest.write_bytes(text)

    passes._pulls._transfer.fetch_manifests = fetch  # type: ignore[assignment,method-assign]
    passes.see({"192.0.2.12": None})
    await passes._pass()
    assert asked == [(ip_address("192.0.2.12"), {place.names["HEAD"]})]
    assert passes.engine.report(0.0).holds == ()
    assert passes.engine.head is not None
    made = passes.engine._history.get(passes.engine.head)
    assert made.parents == (place.names["HEAD"],)
    assert made.summary == "edited site.conf"


@pytest.mark.parametrize("last", ["1e999", "NaN", "-1e999", "9" * 400, "-5", "1e300", '"x"', "[1]"])
def test_a_last_run_that_cannot_be_is_none(tmp_path: Path, last: str) -> None:
    memory = tmp_path / "schedule.json"
    memory.write_text(f'{{"format": 1, "last": {last}}}')
    schedule = Schedule("0 * * * *", UTC, memory, share=0.0)
    assert 0 < schedule.next - time.time() <= 3600
