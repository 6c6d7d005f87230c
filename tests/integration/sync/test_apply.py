"""What only root can try: owners of files, and disks that are full (/small has 1 MiB)."""

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.history.snapshot import Tree
from sidecar.errors import SidecarError
from sidecar.sync.apply import Applied, Apply
from sidecar.sync.objects import Objects
from sidecar.sync.recover import recover
from tests.unit.sync.folder import look, make, told

SMALL = Path("/small")


class World:
    """Two trees that were live at the same place, and a store that has the second one's files."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root, self.state = root, state
        (state / "objects").mkdir(parents=True)
        self.objects = Objects(state / "objects")

    def apply(self, current: Tree, wanted: Tree) -> Apply:
        return Apply(
            current,
            wanted,
            roots=(str(self.root),),
            objects=self.objects,
            journal=self.state,
            before=None,
            after="a" * 64,
        )

    def keep(self) -> Tree:
        """Keep what lies there as objects, and return it."""
        tree = look(self.root)
        for path, entry in tree.items():
            if entry.digest:
                self.objects.put(Path(path))
        return tree


@pytest.fixture
def world(directory: Path) -> World:
    return World(directory / "live", directory / "state")


def owners(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(root))] = status.st_uid, status.st_gid, status.st_mode & 0o7777
    return found


def give(root: Path, uid: int, gid: int) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


class TestOwners:
    @pytest.fixture
    def wanted(self, world: World) -> Tree:
        make(
            world.root,
            {
                "key": ("new key", 0o600),
                "of-root": "new",
                "link": "-> new",
                "new": ("new", 0o640),
                "ssl/new.d/deep/key": ("key", 0o600),
                "ssl/new.d/link": "-> deep",
                "was-link": "file",
            },
        )
        (world.root / "ssl").chmod(0o700)
        tree = world.keep()
        shutil.rmtree(world.root)
        return tree

    @pytest.fixture
    def current(self, world: World, wanted: Tree) -> Tree:
        assert wanted
        make(
            world.root,
            {
                "key": ("old key", 0o600),
                "of-root": "old",
                "link": "-> old",
                "was-link": "-> old",
                "ssl": None,
            },
        )
        give(world.root, 1000, 1001)
        (world.root / "ssl").chmod(0o700)
        os.chown(world.root / "ssl", 1002, 1003)
        os.chown(world.root / "of-root", 0, 0)
        return look(world.root)

    def test_they_are_kept_or_taken_from_the_directory(
        self, world: World, current: Tree, wanted: Tree
    ) -> None:
        change = world.apply(current, wanted)
        assert isinstance(change.write(), Applied)
        change.commit()
        change.finish()
        assert owners(world.root) == {
            "key": (1000, 1001, 0o600),
            "of-root": (0, 0, 0o644),
            "link": (1000, 1001, 0o777),
            "new": (1000, 1001, 0o640),
            "ssl": (1002, 1003, 0o700),
            "ssl/new.d": (1002, 1003, 0o755),
            "ssl/new.d/deep": (1002, 1003, 0o755),
            "ssl/new.d/deep/key": (1002, 1003, 0o600),
            "ssl/new.d/link": (1002, 1003, 0o777),
            "was-link": (1000, 1001, 0o644),
        }

    def test_the_way_back_brings_them_back(self, world: World, current: Tree, wanted: Tree) -> None:
        before = owners(world.root), told(world.root)
        change = world.apply(current, wanted)
        change.write()
        change.revert()
        assert (owners(world.root), told(world.root)) == before

    def test_so_does_a_recovery(self, world: World, current: Tree, wanted: Tree) -> None:
        before = owners(world.root), told(world.root)
        world.apply(current, wanted).write()
        recover(world.state, world.objects)
        assert (owners(world.root), told(world.root)) == before


class TestFullDisk:
    @pytest.fixture
    def empty(self) -> Iterator[None]:
        yield
        for path in SMALL.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @pytest.mark.usefixtures("empty")
    def test_of_the_tree(self, directory: Path) -> None:
        world = World(SMALL / "live", directory / "state")
        make(world.root, {"a": "A" * 300_000, "b": "B" * 300_000, "new/c": "C" * 300_000})
        wanted = world.keep()
        shutil.rmtree(world.root)
        make(world.root, {"a": "a" * 200_000, "b": "b" * 200_000, "gone": "g"})
        current, before = look(world.root), told(world.root)
        with pytest.raises(SidecarError, match="No space left on device: /small/live/") as caught:
            world.apply(current, wanted).write()
        assert "make room" in caught.value.hint
        assert told(world.root) == before
        assert recover(world.state, world.objects) is None

    @pytest.mark.usefixtures("empty")
    def test_that_fills_up_while_nginx_tests(self, directory: Path) -> None:
        world = World(SMALL / "live", directory / "state")
        make(world.root, {"a": "A" * 100_000, "new/c": "C"})
        wanted = world.keep()
        shutil.rmtree(world.root)
        make(world.root, {"a": "a" * 100_000, "gone/x": "g" * 100_000})
        current, before = look(world.root), told(world.root)
        change = world.apply(current, wanted)
        change.write()
        fill(SMALL / "full")
        change.revert()
        assert told(world.root) == before

    @pytest.mark.usefixtures("empty")
    def test_of_the_state(self, directory: Path) -> None:
        world = World(directory / "live", SMALL / "state")
        make(world.root, {"a": "A"})
        wanted = world.keep()
        (world.root / "a").write_text("a")
        current, before = world.keep(), told(world.root)
        change = world.apply(current, wanted)
        change.write()
        fill(SMALL / "full")
        with pytest.raises(SidecarError, match="cannot apply snapshot aaaaaaaaaaaa: No space left"):
            change.commit()
        change.revert()
        assert told(world.root) == before
        with pytest.raises(SidecarError, match="cannot apply snapshot aaaaaaaaaaaa: No space left"):
            world.apply(current, wanted).write()
        assert told(world.root) == before


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        endless(file)


def endless(file: io.RawIOBase) -> None:
    while file.write(bytes(4096)):
        pass


def test_a_read_only_folder_is_named_with_its_way_out(directory: Path) -> None:
    root = Path(__file__).parent  # the working tree is mounted read-only
    world = World(root, directory / "state")
    current = look(root)
    path = min(current)
    digest = world.objects.put(b"other")
    wanted = {**current, path: replace(current[path], digest=digest, size=5)}
    with pytest.raises(SidecarError, match="Read-only file system") as caught:
        world.apply(current, wanted).write()
    assert "without `:ro`" in caught.value.hint
    assert look(root) == current
    assert recover(world.state, world.objects) is None
