"""A tree, the one that is wanted, and a power that fails between two steps."""

import itertools
from collections.abc import Callable
from pathlib import Path

from sidecar.core.history.snapshot import Tree
from sidecar.host.rename import Renamer
from sidecar.sync.apply import Applied, Apply
from sidecar.sync.objects import Objects
from sidecar.sync.recover import Recovery, recover
from tests.unit.sync.folder import Spec, look, make, told

OLD: Spec = {
    "nginx.conf": "old",
    "key": ("secret", 0o600),
    "mode": "same",
    "link": "-> nginx.conf",
    "link-to-file": "-> nginx.conf",
    "gone": "gone",
    "gone-link": "-> gone",
    "gone.d/deep/file": "deep",
    "kept.d/a": "a",
    "kept.d/b": "b",
    "file-to-dir": "file",
    "dir-to-file/deep/x": "x",
    "dir-to-file/y": "-> z",
    "dir-to-link/x": "x",
    "empty-to-file": None,
    "mode.d": None,
}
NEW: Spec = {
    "nginx.conf": "new",
    "key": ("SECRET", 0o600),
    "mode": ("same", 0o600),
    "link": "-> key",
    "link-to-file": ("now a file", 0o640),
    "new": "new",
    "new-link": "-> nowhere/at/all",
    "new.d/deep/file": "deep",
    "new.d/empty": None,
    "kept.d/a": "A",
    "kept.d/c": "c",
    "file-to-dir/deep/x": "x",
    "dir-to-file": "file",
    "dir-to-link": "-> kept.d",
    "empty-to-file": "full",
    "mode.d": None,
}


class CrashError(BaseException):
    """The power fails."""


def crash_at(number: int) -> Callable[[str], None]:
    count = itertools.count()

    def checkpoint(_name: str) -> None:
        if next(count) == number:
            raise CrashError

    return checkpoint


class World:
    """A root, a wanted tree, a store."""

    def __init__(self, directory: Path, old: Spec = OLD, new: Spec = NEW) -> None:
        self.root = directory / "live"
        self.directory = directory
        (directory / "objects").mkdir()
        self.objects = Objects(directory / "objects")
        self.wanted = self._wanted(new)
        make(self.root, old)
        if "mode.d" in old:
            (self.root / "mode.d").chmod(0o700)
        self.current = look(self.root)
        self.old = told(self.root)

    def apply(self, checkpoint: Callable[[str], None] = lambda _: None) -> Apply:
        return Apply(
            self.current,
            self.wanted,
            roots=(str(self.root),),
            objects=self.objects,
            journal=self.directory,
            before="b" * 64,
            after="a" * 64,
            renamer=self.renamer,
            checkpoint=checkpoint,
        )

    renamer = Renamer()

    def recover(self, checkpoint: Callable[[str], None] = lambda _: None) -> Recovery | None:
        return recover(self.directory, self.objects, renamer=self.renamer, checkpoint=checkpoint)

    def _wanted(self, new: Spec) -> Tree:
        """Make the wanted tree, keep its files as objects, and take it away again."""
        make(self.root, new)
        tree = look(self.root)
        self.new = told(self.root)
        for path, entry in tree.items():
            if entry.digest:
                self.objects.put(Path(path))
        self.root.rename(self.directory / "wanted")
        return tree


def all_the_way(change: Apply) -> None:
    assert isinstance(change.write(), Applied)
    change.commit()
    change.finish()


def crash_on(name: str) -> Callable[[str], None]:
    def checkpoint(here: str) -> None:
        if here == name:
            raise CrashError

    return checkpoint


_numbers = itertools.count()


def one_more(directory: Path) -> Path:
    path = directory / str(next(_numbers))
    path.mkdir()
    return path
