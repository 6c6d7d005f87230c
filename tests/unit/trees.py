"""Small trees and snapshots for tests; contents are strings."""

import hashlib
from collections.abc import Collection, Mapping

from sidecar.core.history.manifest import encode, identify
from sidecar.core.history.snapshot import Entry, Kind, Snapshot, Version

ROOT = "/etc/nginx"


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def file(content: str = "server {}", mode: int = 0o644) -> Entry:
    return Entry(kind=Kind.FILE, mode=mode, digest=digest(content), size=len(content.encode()))


def link(target: str) -> Entry:
    return Entry(kind=Kind.LINK, target=target)


def directory(mode: int = 0o755) -> Entry:
    return Entry(kind=Kind.DIRECTORY, mode=mode)


def tree(entries: Mapping[str, Entry | str], root: str = ROOT) -> dict[str, Entry]:
    """Return a tree of entries by name below `root`; a string is a file with that content."""
    result: dict[str, Entry] = {}
    for name, entry in entries.items():
        parts = name.split("/")
        for depth in range(1, len(parts)):
            result.setdefault("/".join((root, *parts[:depth])), directory())
        result[f"{root}/{name}"] = file(entry) if isinstance(entry, str) else entry
    return result


def snapshot(
    entries: Mapping[str, Entry | str], *parents: str, time: float = 1.0, node: str = "192.0.2.11"
) -> Snapshot:
    return Snapshot(
        roots=(ROOT,), tree=tree(entries), parents=tuple(sorted(parents)), time=time, node=node
    )


class Past(dict[str, Snapshot]):
    """Snapshots by id, as a merge asks for them; of some that are known the tree may be gone."""

    def __init__(
        self, whole: Mapping[str, Snapshot], known: Mapping[str, Snapshot] | None = None
    ) -> None:
        super().__init__(whole)
        self._known = known or whole

    def having(self, name: str, versions: Collection[Version]) -> frozenset[Version]:
        tree = self[name].tree if name in self else {}
        return frozenset((path, entry) for path, entry in versions if tree.get(path) == entry)

    def made(self, name: str) -> bool:
        return name in self._known and bool(self._known[name].node)


def id_of(value: Snapshot) -> str:
    return identify(encode(value))
