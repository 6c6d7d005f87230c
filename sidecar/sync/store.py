"""The history of a node: snapshots, the contents of their files, and where this node stands.

    /var/lib/ha/history/
      version              the format of this directory
      snapshots/<id>       manifests; of old ones only the header is left
      objects/<sha256>     contents of files
      head                 id of the snapshot that is live here
      state.json           what was rejected and what was released (`decisions`)
      incoming/<peer>/     what a pull has brought so far
      damaged/             what turned out to have another content than its name says

Order makes it safe to stop anywhere: objects are on the disk before the snapshot that names them,
parents before their children, and the head is written last.
"""

import logging
import re
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from sidecar.core.graph import Graph
from sidecar.core.snapshot import (
    MAX_TEXT,
    Header,
    Kind,
    Snapshot,
    check,
    decode,
    decode_header,
    encode,
    has_tree,
    identify,
    is_id,
    without_tree,
)
from sidecar.errors import RefusedError, SidecarError
from sidecar.host import files
from sidecar.sync.objects import (
    MODE,
    Objects,
    keeping,
    move_in,
    open_regular,
    remove_old,
    set_aside,
)

FORMAT: Final = 1
"""Version of the directory; a newer one is refused."""

MAX_SNAPSHOTS: Final = 10_000
"""Headers of older ones are dropped; a node that was away for longer is held, not overwritten."""

GRACE: Final = 3600.0
"""Seconds during which nothing is pruned: it may belong to what is just being made or fetched."""

log = logging.getLogger("history")

_DIGEST: Final = re.compile(rb'"digest":"([0-9a-f]{64})"')


class History:
    """The history below a directory. All methods block: call them in a thread.

    Any number of threads may use it; another process may read it at the same time.
    """

    def __init__(self, directory: Path) -> None:
        self.directory: Final = directory
        self._objects = Objects(directory / "objects")
        self._snapshots = directory / "snapshots"
        self._headers: dict[str, Header] = {}
        self._lock = threading.RLock()
        with keeping():
            for place in (directory, directory / "objects", self._snapshots):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_version(directory)

    # Contents

    def put(self, source: Path | bytes) -> str:
        """Keep a copy of a regular file or of bytes and return its digest; see `put_all`."""
        return self._objects.put(source)

    def put_all(self, sources: Iterable[Path | bytes]) -> tuple[str, ...]:
        """Keep copies and return their digests; see `Objects.put_all`."""
        return self._objects.put_all(sources)

    def has(self, digest: str, size: int | None = None) -> bool:
        """Tell whether an object is here, and of that size."""
        return self._objects.has(digest, size)

    def open(self, digest: str) -> BinaryIO:
        """Open an object for reading; its content is not verified."""
        return self._objects.open(digest)

    def read(self, digest: str) -> bytes:
        """Return the verified content of an object."""
        return self._objects.read(digest)

    def verify(self, digest: str) -> bool:
        """Tell whether an object is here and undamaged; a damaged one is set aside."""
        return self._objects.verify(digest)

    def absent(self, digests: Iterable[str]) -> frozenset[str]:
        """Return which objects are not here; faster than `missing`, which also compares sizes."""
        return self._objects.absent(digests)

    def missing(self, snapshot: Snapshot) -> frozenset[str]:
        """Return the digests of a snapshot's objects that are not here."""
        needed = {
            entry.digest: entry.size for entry in snapshot.tree.values() if entry.kind is Kind.FILE
        }
        return frozenset(one for one, size in needed.items() if not self._objects.has(one, size))

    # Snapshots

    def add(self, snapshot: Snapshot) -> str:
        """Keep a snapshot whose objects are all here, durably, and return its id."""
        try:
            check(snapshot)
        except ValueError as error:
            raise SidecarError(f"cannot keep the snapshot: {error}") from error
        with self._lock:
            if absent := self.absent(one.digest for one in snapshot.tree.values() if one.digest):
                some = min(absent)[:12]
                raise SidecarError(f"cannot keep the snapshot: object {some} is not in the history")
            self._objects.sync()
            text = encode(snapshot)
            name = identify(text)
            with keeping():
                files.write(self._snapshots / name, text, mode=MODE, durable=True)
        return name

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot; raise RefusedError where it is unknown or only its header is left."""
        found = self._snapshot(snapshot)
        if found is not None:
            return found
        if snapshot in self.ids():
            raise RefusedError(
                f"cannot read snapshot {snapshot[:12]}: its files are no longer kept",
                "HA_SYNC_KEEP says how many snapshots are kept with their files",
            )
        raise RefusedError(
            f"cannot read snapshot {snapshot[:12]}: it is not in the history",
            "`ha history` lists those that are",
        )

    def complete(self, snapshot: str) -> Snapshot | None:
        """Return a snapshot if it and all its objects are here, ready to be applied."""
        found = self._snapshot(snapshot)
        return None if found is None or self.missing(found) else found

    def ids(self) -> frozenset[str]:
        """Return the ids of all known snapshots, the pruned ones included."""
        return frozenset(self.headers())

    def headers(self) -> Mapping[str, Header]:
        """Return the headers of all known snapshots by id."""
        with self._lock:
            present = {path.name for path in self._snapshots.iterdir() if is_id(path.name)}
            for gone in self._headers.keys() - present:
                del self._headers[gone]
            for new in present - self._headers.keys():
                found = self._read(new, only_header=True)
                if found is not None:
                    self._headers[new] = found[0]
            return dict(self._headers)

    def whole(self) -> frozenset[str]:
        """Return the ids of the snapshots whose tree is still here."""
        return frozenset(name for name in self.ids() if self._has_tree(name))

    def incomplete(self, snapshots: Iterable[str]) -> frozenset[str]:
        """Return those of `snapshots` whose tree is not here, or not all of their objects."""
        return frozenset(name for name in snapshots if not self._is_complete(name))

    def graph(self) -> Graph:
        """Return the graph of all known snapshots."""
        return Graph({name: header.parents for name, header in self.headers().items()})

    # Where this node stands

    def head(self) -> str | None:
        """Return the id of the snapshot that is live here; None before the first."""
        try:
            name = (self.directory / "head").read_text().strip()
        except FileNotFoundError:
            return None
        if not is_id(name):
            raise SidecarError(
                f"cannot read the history: {self.directory / 'head'} holds no id of a snapshot",
                "remove that file: this node then takes the configuration of its peers",
            )
        return name

    def set_head(self, snapshot: str | None) -> None:
        """Remember, durably, which snapshot is live here."""
        path = self.directory / "head"
        with keeping():
            if snapshot is None:
                files.remove(path, durable=True)
            else:
                files.write(path, f"{snapshot}\n", mode=MODE, durable=True)

    # Fetched and old ones

    def adopt(self, incoming: Path) -> frozenset[str]:
        """Take over, durably, what is right of `incoming/objects` and `incoming/snapshots`.

        Return the names of that, also where it was here already. What is not what its name says is
        removed and logged.
        """
        with keeping():
            right = self._objects.adopt(_listing(incoming / "objects"))
            self._objects.sync()
            fetched = {path.name: _fetched(path) for path in _listing(incoming / "snapshots")}
        with self._lock, keeping():
            parents = {name: header.parents for name, header in fetched.items() if header}
            for name in Graph(parents).oldest_first(parents):
                self._adopt_snapshot(incoming / "snapshots" / name)
            files.sync_directory(self._snapshots)
        return frozenset(right | parents.keys())

    def prune(self, keep: Collection[str], *, grace: float = GRACE) -> None:
        """Leave only the headers of all snapshots but `keep`, and no objects but theirs.

        What is younger than `grace` seconds is spared. See `Graph.keep` for what to keep.
        """
        before = time.time() - grace
        with self._lock, keeping():
            graph, needed = self.graph(), set[str]()
            spared = set(graph.oldest_first(graph.parents)[-MAX_SNAPSHOTS:]).union(keep)
            for name in graph.parents:
                path = self._snapshots / name
                text = path.read_bytes()
                if name in keep or path.stat().st_mtime >= before:
                    needed.update(one.decode() for one in _DIGEST.findall(text))
                elif has_tree(text):
                    files.write(path, without_tree(text), mode=MODE)
            remove_old(self._snapshots, keep=spared, before=before)
            self._objects.prune(needed, before=before)

    def _snapshot(self, snapshot: str) -> Snapshot | None:
        found = self._read(snapshot)
        return decode(found[1]) if found is not None and has_tree(found[1]) else None

    def _read(self, snapshot: str, *, only_header: bool = False) -> tuple[Header, bytes] | None:
        """Return a manifest's header and verified text; None if there is none that is undamaged."""
        if not is_id(snapshot):
            raise ValueError(f"{snapshot!r} is not an id")
        path = self._snapshots / snapshot
        try:
            with open_regular(path) as file:
                text = file.readline(MAX_TEXT) if only_header else file.read(MAX_TEXT + 1)
            return _prove(text, snapshot), text
        except FileNotFoundError:
            return None
        except ValueError as error:
            set_aside(path, str(error))
            return None

    def _is_complete(self, snapshot: str) -> bool:
        found = self._read(snapshot)
        if found is None or not has_tree(found[1]):
            return False
        return not self.absent(one.decode() for one in _DIGEST.findall(found[1]))

    def _has_tree(self, snapshot: str) -> bool:
        with suppress(FileNotFoundError), open_regular(self._snapshots / snapshot) as file:
            return file.readline(MAX_TEXT).endswith(b"\n") and bool(file.read(1))
        return False

    def _adopt_snapshot(self, path: Path) -> None:
        """Move a checked manifest here, unless what is here says as much."""
        known = self._read(path.name)
        if known is None or (not has_tree(known[1]) and path.stat().st_size > len(known[1])):
            move_in(path, self._snapshots / path.name)
        else:
            path.unlink()


def _prove(text: bytes, snapshot: str) -> Header:
    """Return the header of a text that has this id; raise ValueError if it has another one."""
    if identify(text) != snapshot:
        raise ValueError("its content has another hash")
    return decode_header(text)


def _fetched(path: Path) -> Header | None:
    """Return the header of a fetched manifest; remove it and return None if it cannot be used."""
    try:
        with open_regular(path) as file:
            text = file.read(MAX_TEXT + 1)
        header = _prove(text, path.name)
        if has_tree(text):
            decode(text)
        return header
    except (ValueError, OSError) as error:
        log.warning("cannot use %s of a peer: %s", path.name, error)
        path.unlink()
        return None


def _listing(directory: Path) -> list[Path]:
    """Return what lies in a directory that may be missing; directories in it are removed."""
    if not directory.is_dir():
        return []
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
    return sorted(directory.iterdir())


def _check_version(directory: Path) -> None:
    path = directory / "version"
    try:
        found = int(path.read_text())
    except FileNotFoundError:
        found = FORMAT
        files.write(path, f"{FORMAT}\n", mode=MODE, durable=True)
    except ValueError:
        found = 0
    if found != FORMAT:
        raise SidecarError(
            f"cannot use the history in {directory}: its version is not {FORMAT}",
            "start the image that made it, or move it away: this node then asks its peers",
        )
