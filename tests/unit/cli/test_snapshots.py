"""What the history shows of itself: list, differences, a copy of the files."""

import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from pathlib import Path
from typing import override

import pytest

from sidecar.commands import diff, export, history
from sidecar.commands.context import Context
from sidecar.core.backoff import Backoff
from sidecar.core.history.change import MAX_DIFF
from sidecar.core.history.snapshot import Kind, Snapshot
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.paths import Paths
from sidecar.settings.load import Loaded
from sidecar.sync.compare import difference, kept, live
from sidecar.sync.decisions import Decisions
from sidecar.sync.lookup import lookup
from sidecar.sync.store import History
from tests.unit.settings.example import load_with
from tests.unit.sync.folder import Spec, look, make, told
from tests.unit.trees import tree


@dataclass(frozen=True, slots=True)
class Alone(Context):
    """A node whose daemon says that nobody else has anything."""

    roots: tuple[Path, ...]
    keep: int = 50

    @override
    def loaded(self) -> Loaded:
        roots = ",".join(map(str, self.roots))
        return load_with(HA_SYNC_PATHS=roots, HA_SYNC_KEEP=str(self.keep))

    @override
    def order(self, name: str, given: Mapping[str, object]) -> str:
        raise RefusedError(f"nobody has {given['snapshot']}", "look elsewhere")


def printed(run: Callable[[], int]) -> list[str]:
    """Return the lines that a command prints; it ends well."""
    with redirect_stdout(StringIO()) as out:
        assert run() == 0
    return out.getvalue().splitlines()


@dataclass
class Node:
    """A node with synced folders and a history of them, and no daemon."""

    place: Path
    roots: list[Path]
    paths: Paths = field(init=False)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.paths = Paths(state=self.place / "state")
        self.history = History(self.paths.state / "history")

    def keep(self, *parents: str, time: float = 1.0) -> str:
        """Make a snapshot of what lies in the folders, and the head."""
        found = look(*self.roots)
        for path, entry in found.items():
            if entry.kind is Kind.FILE:
                self.history.put(Path(path))
        made = self.history.add(
            Snapshot(
                roots=tuple(map(str, self.roots)),
                tree=found,
                parents=tuple(sorted(parents)),
                node="192.0.2.11",
                time=time,
            )
        )
        self.history.set_head(made)
        return made

    def diff(self, *names: str) -> list[str]:
        first, second = [*names, None, None][:2]
        return printed(lambda: diff.run(self.context, first=first, second=second))

    def export(self, name: str, directory: Path) -> str:
        run = partial(export.run, self.context, snapshot=name, directory=directory)
        return "\n".join(printed(run))

    @property
    def context(self) -> Context:
        return Alone(self.paths, tuple(self.roots))

    def damage(self, content: str) -> None:
        for path in (self.history.directory / "objects").iterdir():
            if path.read_text() == content:
                path.write_text(content[::-1])


@pytest.fixture
def node(tmp_path: Path) -> Node:
    root = tmp_path / "nginx"
    root.mkdir()
    return Node(tmp_path, [root])


SPEC: Spec = {
    "nginx.conf": "events {}\n",
    "sites/a.conf": ("server {}\n", 0o640),
    "sites/on": "-> a.conf",
    "locked/key.pem": ("-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n", 0o600),
    "empty": None,
}


class TestShow:
    def test_snapshots_are_marked(self, node: Node) -> None:
        old = node.keep()
        node.history.prune([], grace=-1.0)
        new = node.keep(old, time=2.0)
        Decisions(node.history.directory, Backoff()).reject(new, "no", 0.0)
        heads = {"192.0.2.12": old, "192.0.2.13": "e" * 64, "192.0.2.14": None}
        marks = history.marks(node.history, heads, 50)
        assert marks[new] == ["head", "rejected here"]
        assert marks[old] == ["head of 192.0.2.12", "incomplete here"]
        assert marks["e" * 64] == ["head of 192.0.2.13"]
        _, first, second = printed(lambda: history.run(Alone(node.paths, (), keep=1), verify=False))
        assert first == f"{new[:12]}  1970-01-01 00:00:02  192.0.2.11  head, rejected here"
        assert second.startswith(
            f"{old[:12]}  1970-01-01 00:00:01  192.0.2.11  files no longer kept"
        )


class TestLookup:
    def test_by_digits_and_as_head(self, node: Node) -> None:
        made = node.keep()
        assert lookup(node.history, made[:4]) == lookup(node.history, "head") == made

    @pytest.mark.parametrize("name", ["head", "abc", "abcd", ""])
    def test_what_is_not_there_is_refused(self, node: Node, name: str) -> None:
        with pytest.raises(RefusedError, match="cannot use"):
            lookup(node.history, name)


class TestDiff:
    def test_nothing_differs(self, node: Node) -> None:
        make(node.roots[0], SPEC)
        node.keep()
        assert node.diff() == ["nothing differs"]

    def test_the_folders_differ_from_head(self, node: Node) -> None:
        root = node.roots[0]
        make(root, SPEC)
        node.keep()
        (root / "nginx.conf").write_text("events { }\n")
        (root / "sites/a.conf").chmod(0o600)
        (root / "sites/a.conf").rename(root / "sites/b.conf")
        (root / "sites/x.swp").write_text("an editor's")
        assert node.diff() == [
            "edited   nginx.conf",
            "renamed  sites/a.conf -> sites/b.conf",
            "",
            "--- a/nginx.conf",
            "+++ b/nginx.conf",
            "@@ -1 +1 @@",
            "-events {}",
            "+events { }",
        ]

    def test_before_the_first_snapshot_all_is_added(self, node: Node) -> None:
        make(node.roots[0], {"a": "x\n", "empty": ""})
        lines = node.diff()
        assert lines[:2] == ["added    a", "added    empty"]
        assert lines[-1] == "+x"

    def test_a_snapshot_differs_from_its_parent(self, node: Node) -> None:
        make(node.roots[0], {"a": "x\n"})
        first = node.keep()
        (node.roots[0] / "a").write_text("y\n")
        second = node.keep(first)
        assert node.diff(first)[0] == "added    a"
        assert node.diff("head")[-2:] == ["-x", "+y"]
        assert node.diff(second, first)[-2:] == ["-y", "+x"]

    def test_a_merge_differs_from_each_parent(self, node: Node) -> None:
        make(node.roots[0], {"a": "x\n"})
        first = node.keep()
        make(node.roots[0], {"b": "y\n"})
        second = node.keep(time=2.0)
        merge = node.keep(first, second, time=3.0)
        assert node.diff(merge).count("nothing differs") == 1
        assert {f"since {first[:12]}:", f"since {second[:12]}:"} <= set(node.diff(merge))

    def test_a_file_that_became_a_directory(self, node: Node) -> None:
        make(node.roots[0], {"a": "x\n"})
        node.keep()
        (node.roots[0] / "a").unlink()
        (node.roots[0] / "a").mkdir()
        lines = node.diff()
        assert lines[0] == "swapped  a: file -> directory"
        assert lines[-1] == "-x"

    def test_private_keys_are_never_shown(self, node: Node) -> None:
        make(node.roots[0], SPEC)
        first = node.keep()
        (node.roots[0] / "locked/key.pem").write_text("not yet\n")
        node.keep(first)
        for names in ([], ["head"], [first], ["head", first]):
            assert "MC4CAQAw" not in "\n".join(node.diff(*names))
        assert "locked/key.pem: not shown: secret (a private key), 37 -> 8 bytes" in node.diff(
            "head"
        )

    def test_large_files_are_not_read(self, node: Node) -> None:
        make(node.roots[0], {"a": "x"})
        node.keep()
        (node.roots[0] / "a").write_text("x" * (MAX_DIFF + 1))
        assert node.diff()[-1] == f"a: 1 -> {MAX_DIFF + 1} bytes, too large to show"

    def test_a_damaged_content_does_not_hide_the_rest(self, node: Node) -> None:
        make(node.roots[0], {"a": "xy", "b": "z"})
        node.keep()
        node.damage("xy")
        make(node.roots[0], {"a": "new", "b": "new"})
        lines = node.diff()
        assert any(line.startswith("a: cannot read object") for line in lines)
        assert lines[-1] == "+new (no newline at the end)"

    def test_a_file_that_is_gone_meanwhile_is_told(self, node: Node) -> None:
        roots = [str(node.roots[0])]
        seen = live(tree({"a": "x"}, roots[0]), roots)
        assert list(difference(kept({}, node.history), seen, roots)) == [
            "added    a",
            "",
            "a: cannot be read: No such file or directory",
        ]

    def test_folders_that_cannot_be_synced_are_refused(self, node: Node) -> None:
        os.mkfifo(node.roots[0] / "pipe")
        with pytest.raises(RefusedError, match="pipe: it is a named pipe") as error:
            node.diff()
        assert "HA_SYNC_EXCLUDE" in error.value.hint

    def test_a_snapshot_without_its_files_is_refused(self, node: Node) -> None:
        old = node.keep()
        node.history.prune([], grace=-1.0)
        with pytest.raises(RefusedError, match="incomplete on this node: nobody has"):
            node.diff(old)


class TestExport:
    def test_a_snapshot_is_written_as_it_was(self, node: Node, tmp_path: Path) -> None:
        make(node.roots[0], SPEC)
        (node.roots[0] / "locked").chmod(0o500)
        made = node.keep()
        before = told(node.roots[0])
        target = tmp_path / "deep" / "new"
        assert node.export("head", target) == f"wrote snapshot {made[:12]}, 3 files, to {target}"
        assert told(target) == before
        for directory in (node.roots[0] / "locked", target / "locked"):
            directory.chmod(0o700)  # so that they can be removed

    def test_several_roots_lie_beside_each_other(self, node: Node, tmp_path: Path) -> None:
        other = tmp_path / "other"
        make(node.roots[0], {"a": "x"})
        make(other, {"b/c": "y"})
        node.roots.append(other)
        node.keep()
        target = tmp_path / "new"
        node.export("head", target)
        assert (target / str(other)[1:] / "b/c").read_text() == "y"
        assert (target / str(node.roots[0])[1:] / "a").read_text() == "x"

    @pytest.mark.parametrize("name", ["a-file", "nginx", "nginx/new", "link/new", "full"])
    def test_nothing_is_written_over(self, node: Node, tmp_path: Path, name: str) -> None:
        make(tmp_path, {"a-file": "x", "link": "-> nginx", "full/x": ""})
        node.keep()
        before = told(node.roots[0])
        with pytest.raises(RefusedError, match="cannot export"):
            node.export("head", tmp_path / name)
        assert told(node.roots[0]) == before

    def test_a_damaged_content_is_noticed(self, node: Node, tmp_path: Path) -> None:
        make(node.roots[0], {"a": "xy"})
        node.keep()
        node.damage("xy")
        with pytest.raises(SidecarError, match="damaged"):
            node.export("head", tmp_path / "new")

    def test_a_missing_content_is_noticed_before(self, node: Node, tmp_path: Path) -> None:
        make(node.roots[0], {"a": "xy"})
        made = node.keep()
        for path in (node.history.directory / "objects").iterdir():
            path.unlink()
        with pytest.raises(RefusedError, match="incomplete on this node: nobody has"):
            node.export(made, tmp_path / "new")
        assert not (tmp_path / "new").exists()

    def test_a_place_that_cannot_be_written_is_named(self, node: Node) -> None:
        make(node.roots[0], {"a": "xy"})
        node.keep()
        with pytest.raises(SidecarError, match="cannot export to /proc/new"):
            node.export("head", Path("/proc/new"))
