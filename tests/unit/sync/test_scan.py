import hashlib
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.history.snapshot import Entry, Kind
from sidecar.sync.scan import Known, Scan, scan
from tests.unit.sync.folder import later, look, make, same_inode_rewrite, scanned


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "root", {})
    return tmp_path / "root"


def quick(root: Path, known: Known) -> Scan:
    return scan([str(root)], known=known, clock=later)


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_a_tree_is_told_as_it_lies_there(root: Path) -> None:
    make(root, {"a.conf": ("one", 0o600), "d/b": "-> ../a.conf", "empty": None})
    (root / "empty").chmod(0o2750)
    (root / "d").chmod(0o755)
    assert look(root) == {
        f"{root}/a.conf": Entry(kind=Kind.FILE, mode=0o600, digest=digest("one"), size=3),
        f"{root}/d": Entry(kind=Kind.DIRECTORY, mode=0o755),
        f"{root}/d/b": Entry(kind=Kind.LINK, target="../a.conf"),
        f"{root}/empty": Entry(kind=Kind.DIRECTORY, mode=0o750),
    }


def test_several_roots_make_one_tree(root: Path, tmp_path: Path) -> None:
    make(root, {"a": "1"})
    make(tmp_path / "other", {"b": "2"})
    assert set(look(root, tmp_path / "other")) == {f"{root}/a", f"{tmp_path}/other/b"}


def test_a_link_is_never_followed(root: Path, tmp_path: Path) -> None:
    make(tmp_path / "outside", {"secret": "x"})
    make(root, {"out": f"-> {tmp_path}/outside", "nowhere": "-> nothing", "round": "-> ."})
    assert {entry.kind for entry in look(root).values()} == {Kind.LINK}


def test_names_with_line_ends_and_other_bytes_are_names(root: Path) -> None:
    make(root, {"a\nb": "1", "ü": "2"})
    (root / os.fsdecode(b"\xff")).write_text("3")
    assert set(look(root)) == {f"{root}/a\nb", f"{root}/ü", f"{root}/\udcff"}


def test_what_is_excluded_is_not_there(root: Path) -> None:
    make(root, {".git/config": "1", "a.swp": "2", "own/x": "3", ".ha-0123": "4", "b": "5"})
    found = scan([str(root)], exclude=("*.swp", ".git/", "/own/"), known={})
    assert set(found.tree) == {f"{root}/b"}


def test_an_excluded_fifo_is_no_problem(root: Path) -> None:
    os.mkfifo(root / "fifo")
    assert scan([str(root)], exclude=("/fifo",), known={}).usable


class TestKnown:
    @pytest.fixture
    def known(self, root: Path) -> Known:
        make(root, {"a": "one", "b": "two"})
        return quick(root, {}).known

    def test_an_untouched_file_is_not_read_again(self, root: Path, known: Known) -> None:
        (root / "a").chmod(0)  # it could not be read, were it not for root
        changed = {
            path: (stamp, replace(entry, digest=digest("known")))
            for path, (stamp, entry) in known.items()
        }
        assert quick(root, changed).tree[f"{root}/b"].digest == digest("known")

    def test_an_edit_of_the_same_size_and_time_is_seen(self, root: Path, known: Known) -> None:
        same_inode_rewrite(root / "a", "ONE")
        assert quick(root, known).tree[f"{root}/a"].digest == digest("ONE")

    def test_a_file_renamed_over_another_is_seen(self, root: Path, known: Known) -> None:
        status = (root / "a").stat()
        (root / "new").write_text("ONE")
        os.utime(root / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
        (root / "new").rename(root / "a")
        assert quick(root, known).tree[f"{root}/a"].digest == digest("ONE")

    def test_a_young_file_is_not_remembered(self, root: Path) -> None:
        make(root, {"a": "one"})
        assert scan([str(root)], known={}).known == {}

    def test_a_file_from_the_future_is_not_remembered(self, root: Path) -> None:
        make(root, {"a": "one"})
        assert scan([str(root)], known={}, clock=lambda: 0).known == {}

    def test_a_deleted_file_is_forgotten(self, root: Path, known: Known) -> None:
        (root / "a").unlink()
        assert set(quick(root, known).known) == {f"{root}/b"}


class TestRefused:
    def refused(self, *roots: Path) -> dict[str, str]:
        result = scanned(*roots)
        assert not result.usable
        assert all(refusal.hint for refusal in result.refused)
        return {refusal.path: refusal.cause for refusal in result.refused}

    def test_pipes_and_sockets(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        os.mkfifo(root / "fifo")
        monkeypatch.chdir(root)  # the path of a socket has at most 107 characters
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
        assert self.refused(root) == {
            f"{root}/fifo": "it is a named pipe",
            f"{root}/socket": "it is a socket",
        }

    def test_a_root_that_is_not_there(self, root: Path, tmp_path: Path) -> None:
        assert self.refused(root, tmp_path / "gone") == {f"{tmp_path}/gone": "it does not exist"}

    def test_a_root_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert self.refused(tmp_path / "file") == {f"{tmp_path}/file": "it is not a directory"}

    def test_a_root_that_is_a_link(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(root)
        assert self.refused(tmp_path / "link") == {f"{tmp_path}/link": "it is a symbolic link"}

    def test_too_many_paths(self, root: Path) -> None:
        make(root, {"a/b": "", "c": "-> a"})
        assert scan([str(root)], known={}, limits=(3, 100)).usable
        (refusal,) = scan([str(root)], known={}, limits=(2, 100)).refused
        assert refusal.cause == "there are more than 2 files and directories"

    def test_too_many_bytes_name_the_largest_file(self, root: Path) -> None:
        make(root, {"a": "1" * 10, "b": "2" * 91, "c": "3"})
        (refusal,) = scan([str(root)], known={}, limits=(10, 100)).refused
        assert refusal.path == f"{root}/b"
        assert scan([str(root)], known={}, limits=(10, 102)).usable

    def test_directories_without_end(self, root: Path) -> None:
        root.joinpath(*["d"] * 101).mkdir(parents=True)
        (cause,) = self.refused(root).values()
        assert cause == "its path is too long"

    def test_a_name_in_a_refusal_is_fit_for_a_line(self, root: Path) -> None:
        os.mkfifo(root / "a\nb")
        assert list(self.refused(root)) == [f"{root}/a\\nb"]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    @pytest.mark.parametrize("name", ["file", "directory"])
    def test_what_cannot_be_read(self, root: Path, name: str) -> None:
        make(root, {"file": "1", "directory": None})
        (root / name).chmod(0)
        assert self.refused(root) == {f"{root}/{name}": "it cannot be read: Permission denied"}
        (root / name).chmod(0o700)


class TestBusy:
    def test_a_file_that_is_written_between_two_looks(self, root: Path) -> None:
        make(root, {"log": "1"})

        def clock() -> int:
            with (root / "log").open("a") as file:
                file.write("one more line")
            return time.time_ns()

        result = scan([str(root)], known={}, clock=clock)
        assert result.busy == f"{root}/log"
        assert not result.usable

    @pytest.mark.parametrize("size", [0, 1, 3_000_000])
    def test_a_file_that_is_written_while_it_is_read(
        self, root: Path, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = os.read
        (root / "log").write_bytes(bytes(size))

        def read_slowly(descriptor: int, length: int) -> bytes:
            data = read(descriptor, length)
            with (root / "log").open("ab") as file:
                file.write(bytes(1_000_000))
            return data

        monkeypatch.setattr("sidecar.sync.live.os.read", read_slowly)
        assert scanned(root).busy == f"{root}/log"

    def test_a_directory_that_changes_while_files_are_read(self, root: Path) -> None:
        make(root, {"d/a": "1"})
        times = iter(range(100))

        def clock() -> int:
            (root / "d" / f"new{next(times)}").write_text("")
            return time.time_ns()

        result = scan([str(root)], known={}, clock=clock)
        assert result.busy == f"{root}/d"

    def test_a_file_that_goes_while_others_are_read(self, root: Path) -> None:
        make(root, {"a": "1", "b": "2"})
        calls = 0

        def clock() -> int:
            nonlocal calls
            calls += 1
            if calls == 1:
                for path in root.iterdir():
                    path.unlink()
                make(root, {"c": "3"})
            return time.time_ns()

        result = scan([str(root)], known={}, clock=clock)
        assert result.usable
        assert set(result.tree) == {f"{root}/c"}
