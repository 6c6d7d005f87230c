"""What nginx reads: the synced folders, our rendered files, and whatever else it names."""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.core.history.change import different
from sidecar.core.history.snapshot import Kind, Tree
from sidecar.core.nginx import Named
from sidecar.core.settings import Settings
from sidecar.host.paths import Paths
from sidecar.host.watch import Signature, signature
from sidecar.programs import nginx
from sidecar.serving.containers import ContainersFile

_MOST_LINKS: Final = 40
"""As the kernel's own limit (path_resolution(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What nginx would read from disk at one moment."""

    tree: Tree | None
    """The synced folders; None where they are part of the signature."""
    rendered: Mapping[Path, str]
    signature: Signature
    """Of all files that are neither in `tree` nor in `rendered`."""

    def at_rest(self, restless: frozenset[str]) -> "Reading":
        """Return this reading without the paths that still change."""
        left = frozenset(entry for entry in self.signature if entry[0] not in restless)
        return replace(self, signature=left)

    def changed(self, other: "Reading") -> frozenset[str]:
        """Return the paths that differ in another reading, as far as both know of them."""
        rendered = dict(self.rendered.items() ^ other.rendered.items())
        trees = different(self.tree, other.tree) if self.tree and other.tree else set[str]()
        return moved(self, other) | trees | {str(path) for path in rendered}


def moved(one: Reading, other: Reading) -> frozenset[str]:
    """Return the paths that differ in the signatures of two readings."""
    return frozenset(entry[0] for entry in one.signature ^ other.signature)


class Reader:
    """Looks at what nginx reads. Everything here blocks: call it in a thread.

    Given: the settings, the paths, and the file with the sites of containers.
    """

    def __init__(self, settings: Settings, paths: Paths, containers: ContainersFile) -> None:
        self._settings, self._paths, self._containers = settings, paths, containers
        self._synced = tuple(Path(root) for root in settings.sync_paths)
        self.folders = tuple(dict.fromkeys((paths.nginx, *self._synced)))
        """All directories that may hold a user's configuration."""

    def read(self, tree: Tree | None, named: Named) -> Reading:
        """Return what is there now; given: the synced folders, if that is known."""
        roots = self.unsynced if tree is not None else self.folders
        return Reading(
            tree=tree,
            rendered=self._rendered(),
            signature=signature(*roots, single=self.outside(tree, named)),
        )

    def loaded(self, looked: Reading, named: Named) -> Reading:
        """Return what nginx has read after it was looked at, now that this tells what it names."""
        roots = self.unsynced if looked.tree is not None else self.folders
        before = {entry[0]: entry for entry in looked.signature}
        kept = {
            entry for path, entry in before.items() if path in named.files or _below(path, roots)
        }
        again = self.read(looked.tree, named).signature
        # What came since is not among the files that it says it has read.
        new = {entry for entry in again if entry[0] in named.files and entry[0] not in before}
        return replace(looked, signature=frozenset(kept | new))

    def _rendered(self) -> Mapping[Path, str]:
        return {**nginx.rendered(self._settings, self._paths), **self._containers.rendered()}

    @property
    def unsynced(self) -> tuple[Path, ...]:
        """Those of the folders that sync does not look at."""
        below = any(self._paths.nginx.is_relative_to(root) for root in self._synced)
        return () if below else (self._paths.nginx,)

    def outside(self, tree: Tree | None, named: Named) -> list[Path]:
        """Return the named files that are in none of the folders, or not part of the tree."""
        matching = {path for pattern in named.patterns for path in glob.glob(pattern)}  # noqa: PTH207 - patterns are absolute
        return [Path(path) for path in named.files | matching if not self._covered(path, tree)]

    def places(self, named: Named) -> frozenset[Path]:
        """Return what has to be watched beside the folders: files, and where they lie."""
        files = [step for path in self.outside(None, named) for step in _steps(path)]
        lists = [
            Path(directory)
            for pattern in named.patterns
            for directory in glob.glob(os.path.dirname(pattern))  # noqa: PTH120, PTH207 - as above
        ]
        places = {*files, *(path.parent for path in files), *lists}
        return frozenset(path for path in places if not self._covered(str(path), None))

    def _covered(self, path: str, tree: Tree | None) -> bool:
        """Tell whether a change of a path, or of what it links to, is noticed anyway."""
        if _below(path, (self._paths.run,)):
            return True
        if tree is not None and path in tree and tree[path].kind is Kind.FILE:
            return True
        folders = self.folders if tree is None else self.unsynced
        return all(
            _below(one, folders) or (tree is not None and one in tree)
            for one in (path, os.path.realpath(path))
        )


def _below(path: str, folders: Iterable[Path]) -> bool:
    return any(path == str(folder) or path.startswith(f"{folder}/") for folder in folders)


def _steps(path: Path) -> Iterator[Path]:
    """Give a path and where it leads, link by link: each of them may be replaced."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))
