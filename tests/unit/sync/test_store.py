"""The history on a disk: what is in it is what its name says, whatever happened to the disk."""

import errno
import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.history.graph import Relation
from sidecar.core.history.manifest import encode, identify, without_tree
from sidecar.core.history.snapshot import Entry, Kind, Snapshot
from sidecar.errors import SidecarError
from sidecar.sync import objects, store
from sidecar.sync.marks import LostHeadError
from sidecar.sync.objects import keeping
from sidecar.sync.store import History
from tests.unit.trees import digest, directory, id_of, link, snapshot

HOUR_AGO = -1.0
"""A grace after which even what was made just now is old."""


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "history")


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    place = tmp_path / "incoming"
    for name in ("objects", "snapshots"):
        (place / name).mkdir(parents=True)
    return place


def add(history: History, entries: dict[str, Entry | str], *parents: str, time: float = 1) -> str:
    """Put the contents of a snapshot, and add it."""
    for content in entries.values():
        if isinstance(content, str):
            history.put(content.encode())
    return history.add(snapshot(entries, *parents, time=time))


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def offer(incoming: Path, value: Snapshot, *contents: str) -> str:
    """Lay a manifest and contents down as a pull does."""
    for content in contents:
        (incoming / "objects" / digest(content)).write_text(content)
    (incoming / "snapshots" / id_of(value)).write_bytes(encode(value))
    return id_of(value)


class TestContents:
    def test_bytes_and_files_are_kept_by_their_hash(self, history: History, tmp_path: Path) -> None:
        path = tmp_path / "site.conf"
        path.write_text("server {}")
        assert history.put(path) == history.put(b"server {}") == digest("server {}")
        kept = history.directory / "objects" / digest("server {}")
        assert kept.stat().st_mode & 0o777 == 0o600
        assert names(kept.parent) == {digest("server {}")}
        assert history.read(digest("server {}")) == b"server {}"
        with history.open(digest("server {}")) as file:
            assert file.read() == b"server {}"

    def test_a_kept_file_does_not_follow_its_original(
        self, history: History, tmp_path: Path
    ) -> None:
        path = tmp_path / "site.conf"
        path.write_text("one")
        name = history.put(path)
        path.write_text("two")
        assert history.read(name) == b"one"

    @pytest.mark.parametrize(
        "make",
        [
            lambda path: path.symlink_to("/etc/passwd"),
            os.mkfifo,
            lambda path: path.mkdir(),
            lambda _path: None,
        ],
    )
    def test_only_a_regular_file_is_read(
        self, history: History, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        make(tmp_path / "odd")
        with pytest.raises(OSError, match="odd"):
            history.put(tmp_path / "odd")
        assert names(history.directory / "objects") == set()

    def test_a_file_larger_than_a_set_is_refused(
        self, history: History, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(objects, "MAX_BYTES", 3)
        with pytest.raises(OSError, match="more than 3 bytes"):
            history.put(b"four")
        assert names(history.directory / "objects") == set()

    def test_a_damaged_object_is_set_aside_and_missing(self, history: History) -> None:
        for found in (history.verify, history.has, lambda name: history.has(name, 1)):
            name = history.put(b"x")
            assert found(name)
        kept = history.directory / "objects" / digest("x")
        kept.write_bytes(b"y")
        assert history.has(digest("x"), 1)
        assert not history.verify(digest("x"))
        assert not history.has(digest("x"))
        assert (history.directory / "damaged" / digest("x")).read_bytes() == b"y"
        assert not history.verify(digest("x"))

        history.put(b"x")
        kept.write_bytes(b"")
        assert not history.has(digest("x"), 1)

        history.put(b"x")
        kept.write_bytes(b"z")
        with pytest.raises(SidecarError, match="it is not in the history"):
            history.read(digest("x"))
        with pytest.raises(SidecarError, match="it is not in the history"):
            history.open(digest("x"))

    def test_a_wrong_size_in_a_manifest_takes_no_good_object_away(self, history: History) -> None:
        name = history.put(b"x")
        assert not history.has(name, 2)
        liar = snapshot({"a": Entry(kind=Kind.FILE, mode=0o644, digest=name, size=2)})
        assert history.missing(liar) == {name}
        assert history.read(name) == b"x"

    def test_a_name_that_is_no_digest_leads_nowhere(self, history: History) -> None:
        with pytest.raises(ValueError, match="not a digest"):
            history.open("../version")
        with pytest.raises(ValueError, match="not an id"):
            history.get("../version")


class TestDisk:
    def test_a_write_that_fails_leaves_nothing_half_written(self, history: History) -> None:
        add(history, {"a": "1"})
        before = {
            path: path.read_bytes() for path in history.directory.rglob("*") if path.is_file()
        }
        most, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            for content in (b"x" * 100, b"x" * 3_000_000):
                with pytest.raises(SidecarError, match="cannot keep history: File too large"):
                    history.put(content)
            with pytest.raises(SidecarError, match="cannot keep history: File too large"):
                history.set_head("0" * 64)
            with pytest.raises(SidecarError, match="cannot keep history: File too large"):
                history.add(snapshot({"d": directory()}))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        after = {path: path.read_bytes() for path in history.directory.rglob("*") if path.is_file()}
        assert after == before

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
    def test_a_full_disk_is_named_with_the_way_out(self, code: int) -> None:
        with (
            pytest.raises(SidecarError, match="no space left") as caught,
            keeping(),
        ):
            raise OSError(code, os.strerror(code))
        assert "HA_SYNC_KEEP" in caught.value.hint


class TestSnapshots:
    def test_what_was_added_is_found_also_by_another_process(self, history: History) -> None:
        first = add(history, {"a": "1", "d": directory(), "l": link("a")})
        second = add(history, {"a": "2"}, first)
        assert second == id_of(snapshot({"a": "2"}, first))
        for one in (history, History(history.directory)):
            assert one.get(second) == snapshot({"a": "2"}, first)
            assert one.complete(second) == snapshot({"a": "2"}, first)
            assert one.ids() == {first, second}
            assert one.headers()[second].parents == (first,)
            assert one.graph().relation(first, second) is Relation.BEHIND

    def test_a_snapshot_without_its_contents_is_not_added(self, history: History) -> None:
        with pytest.raises(SidecarError, match=f"object {digest('1')[:12]} is not in the history"):
            history.add(snapshot({"a": "1"}))
        assert history.ids() == frozenset()

    def test_a_snapshot_that_peers_would_refuse_is_not_added(self, history: History) -> None:
        with pytest.raises(SidecarError, match=r"cannot keep the snapshot: .* mode"):
            history.add(snapshot({"d": directory(0o2755)}))

    def test_an_unknown_one_is_named(self, history: History) -> None:
        with pytest.raises(SidecarError, match="cannot read snapshot 000000000000: it is not in"):
            history.get("0" * 64)
        assert history.complete("0" * 64) is None

    def test_one_is_complete_only_with_all_its_objects(self, history: History) -> None:
        name = add(history, {"a": "1"})
        assert history.complete(name) is not None
        (history.directory / "objects" / digest("1")).unlink()
        assert history.missing(history.get(name)) == {digest("1")}
        assert history.complete(name) is None

    @pytest.mark.parametrize(
        "damage",
        [
            lambda text: text.replace(b"192.0.2.11", b"192.0.2.12"),
            lambda text: text.replace(b'"mode":420', b'"mode":384'),
            lambda text: text[:-5],
            lambda text: b"\0" * len(text),
            lambda _text: b"",
        ],
    )
    def test_a_damaged_manifest_is_set_aside_but_for_a_header_that_is_right(
        self, history: History, damage: Callable[[bytes], bytes]
    ) -> None:
        name = add(history, {"a": "1"})
        path = history.directory / "snapshots" / name
        before = path.read_bytes()
        path.write_bytes(damage(before))
        header_is_right = damage(before).partition(b"\n")[0] == before.partition(b"\n")[0]
        with pytest.raises(SidecarError, match="cannot read snapshot"):
            history.get(name)
        assert History(history.directory).ids() == ({name} if header_is_right else frozenset())
        assert names(history.directory / "damaged") == {name}
        assert not history.readable(name)
        assert history.rebuild(name, snapshot({"a": "2"}).tree) is False
        assert history.rebuild(name, snapshot({"a": "1"}).tree) is header_is_right
        if header_is_right:
            assert path.read_bytes() == before

    def test_only_headers_are_read_for_the_graph(self, history: History) -> None:
        name = add(history, {"a": "1"})
        path = history.directory / "snapshots" / name
        path.write_bytes(path.read_bytes()[:-5])
        assert History(history.directory).ids() == {name}


class TestStanding:
    def test_the_head_is_remembered(self, history: History) -> None:
        assert history.head() is None
        for head in ("0" * 64, "1" * 64, None, None):
            history.set_head(head)
            assert History(history.directory).head() == head

    def test_a_damaged_head_is_an_error_with_a_way_out(self, history: History) -> None:
        (history.directory / "head").write_text("\0\0\0")
        with pytest.raises(LostHeadError, match="holds no id") as caught:
            history.head()
        assert "remove that file" in caught.value.hint

    def test_the_directory_has_a_version(self, history: History) -> None:
        path = history.directory / "version"
        assert path.read_text() == "1\n"
        assert history.directory.stat().st_mode & 0o777 == 0o700
        path.write_text("2\n")
        with pytest.raises(SidecarError, match="its version is not 1"):
            History(history.directory)
        path.write_text("\0")
        History(history.directory)
        assert path.read_text() == "1\n"


class TestAdopt:
    def test_what_was_fetched_is_moved_in(self, history: History, incoming: Path) -> None:
        first = offer(incoming, snapshot({"a": "1"}), "1")
        second = offer(incoming, snapshot({"a": "2"}, first), "2")
        adopted = history.adopt(incoming)
        assert adopted == {first, second, digest("1"), digest("2")}
        assert history.complete(second) == snapshot({"a": "2"}, first)
        assert history.graph().relation(first, second) is Relation.BEHIND
        assert names(incoming / "objects") == names(incoming / "snapshots") == set()
        for path in history.directory.rglob("?" * 64):
            assert path.stat().st_mode & 0o777 == 0o600
            assert time.time() - path.stat().st_mtime < 60

    def test_what_is_here_already_counts_as_right(self, history: History, incoming: Path) -> None:
        name = add(history, {"a": "1"})
        offer(incoming, snapshot({"a": "1"}), "1")
        assert history.adopt(incoming) == {name, digest("1")}
        assert names(incoming / "objects") == names(incoming / "snapshots") == set()

    def test_nothing_fetched_is_nothing_adopted(self, history: History, tmp_path: Path) -> None:
        assert history.adopt(tmp_path / "none") == frozenset()

    @pytest.mark.parametrize("place", ["objects", "snapshots"])
    @pytest.mark.parametrize(
        "make",
        [
            lambda path: path.write_text("something else"),
            lambda path: path.symlink_to("/etc/passwd"),
            lambda path: path.symlink_to("/etc"),
            lambda path: path.symlink_to("nowhere"),
            os.mkfifo,
            lambda path: path.mkdir(),
            lambda path: path.with_name("README").write_text("x"),
            lambda path: path.with_name(f".{path.name}.Xy12Za").write_text("half"),
        ],
    )
    def test_what_is_not_what_its_name_says_is_removed(
        self, history: History, incoming: Path, place: str, make: Callable[[Path], None]
    ) -> None:
        make(incoming / place / digest("1"))
        assert history.adopt(incoming) == frozenset()
        assert names(incoming / place) == set()
        assert names(history.directory / place) == set()

    def test_a_manifest_that_proves_itself_but_harms_is_removed(
        self, history: History, incoming: Path
    ) -> None:
        hostile = replace(snapshot({}), tree={"/etc/passwd": directory()})
        newer = encode(snapshot({})).replace(b'"format":1', b'"format":2')
        offer(incoming, hostile)
        (incoming / "snapshots" / identify(newer)).write_bytes(newer)
        assert history.adopt(incoming) == frozenset()
        assert history.ids() == frozenset()

    def test_a_header_completes_the_graph_and_never_replaces_a_whole_manifest(
        self, history: History, incoming: Path
    ) -> None:
        value = snapshot({"a": "1"})
        name, text = id_of(value), encode(value)
        arrived = incoming / "snapshots" / name
        for content, whole in (
            (without_tree(text), False),
            (text, True),
            (without_tree(text), True),
        ):
            arrived.write_bytes(content)
            assert history.adopt(incoming) == {name}
            assert history.ids() == {name}
            history.put(b"1")
            assert (history.complete(name) is not None) is whole


class TestPrune:
    def test_what_is_not_kept_is_left_as_a_header_without_its_objects(
        self, history: History
    ) -> None:
        first = add(history, {"a": "1", "same": "s"})
        second = add(history, {"a": "2", "same": "s"}, first)
        history.put(b"nobody's")
        history.prune({second}, grace=HOUR_AGO)
        assert names(history.directory / "objects") == {digest("2"), digest("s")}
        assert history.complete(second) is not None
        assert history.ids() == {first, second}
        assert history.graph().relation(first, second) is Relation.BEHIND
        assert history.complete(first) is None
        with pytest.raises(SidecarError, match="its files are no longer kept"):
            history.get(first)
        history.prune({second}, grace=HOUR_AGO)
        assert history.complete(second) is not None

    def test_what_is_young_is_spared(self, history: History) -> None:
        name = add(history, {"a": "1"})
        draft = history.put(b"draft")
        for path in history.directory.rglob("?" * 64):
            os.utime(path, (0, 0))
        history.put(b"draft")
        history.prune(())
        assert history.has(draft)
        assert not history.has(digest("1"))
        assert history.complete(name) is None

        fetched = add(history, {"a": "3"})
        os.utime(history.directory / "objects" / digest("3"), (0, 0))
        history.prune(())
        assert history.complete(fetched) is not None

    def test_names_in_a_tree_are_no_digests(self, history: History) -> None:
        odd = f'x","digest":"{digest("gone")}'
        name = add(history, {odd: "1"})
        history.put(b"gone")
        history.prune({name}, grace=HOUR_AGO)
        assert names(history.directory / "objects") == {digest("1")}

    def test_left_overs_of_a_crash_go(self, history: History) -> None:
        for place in ("objects", "snapshots"):
            (history.directory / place / ".new-1").write_text("half")
        history.prune(())
        assert names(history.directory / "objects") == {".new-1"}
        history.prune((), grace=HOUR_AGO)
        assert names(history.directory / "objects") == set()
        assert names(history.directory / "snapshots") == set()

    def test_of_very_many_snapshots_the_oldest_are_forgotten(
        self, history: History, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "MAX_SNAPSHOTS", 2)
        line: list[str] = []
        for number in range(9):
            line.append(add(history, {"a": str(number)}, *line[-1:]))
        history.prune({line[0], line[8]}, grace=HOUR_AGO)
        assert history.ids() == {line[0], line[7], line[8]}
        assert history.graph().unknown(line[8]) == {line[6]}
