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
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from sidecar.core.digest import is_id
from sidecar.core.history.graph import Graph
from sidecar.core.history.manifest import (
    MAX_TEXT,
    check,
    decode,
    encode,
    fingerprint,
    has_tree,
    having,
    identify,
    without_tree,
)
from sidecar.core.history.retention import graph_of, newest_first
from sidecar.core.history.snapshot import Header, Kind, Snapshot, Tree, Version
from sidecar.errors import RefusedError, SidecarError
from sidecar.host import files
from sidecar.sync.incoming import clean, fetched, listing, prove
from sidecar.sync.marks import check_version, read_head, write_head
from sidecar.sync.objects import (
    DAMAGE,
    MODE,
    Objects,
    keeping,
    move_in,
    reading,
    remove_old,
    set_aside,
)

MAX_SNAPSHOTS: Final = 10_000
"""Headers of older ones are dropped; a node that was away for longer is held, not overwritten."""

GRACE: Final = 3600.0
"""Seconds during which nothing is pruned: it may belong to what is just being made or fetched."""

_TICK: Final = 100_000_000
"""Nanoseconds within which two changes of a directory may get the same mtime."""

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
        self._headers: Mapping[str, Header] = {}
        self._graph = Graph({})
        self._listed = 0
        """Time of the directory's last change when it was last listed."""
        self._lock = threading.RLock()
        with keeping():
            for place in (directory, directory / "objects", self._snapshots):
                files.make_directory(place)
            clean(directory / "incoming")
            check_version(directory)

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

    def drop(self, snapshots: Iterable[str]) -> None:
        """Forget snapshots that nothing has come of, and that nobody has been told of."""
        with self._lock, keeping():
            for name in snapshots:
                (self._snapshots / name).unlink(missing_ok=True)

    def get(self, snapshot: str) -> Snapshot:
        """Return a snapshot; raise RefusedError where it is unknown or only its header is left."""
        found = self.find(snapshot)
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

    def find(self, snapshot: str) -> Snapshot | None:
        """Return a snapshot whose tree is here, if not all of its objects; None if it is not."""
        with self._lock:
            found = self._read(snapshot)
            if found is None or not has_tree(found[1]):
                return None
            try:
                return decode(found[1])
            except ValueError as error:
                self._leave_header(snapshot, found[1], str(error))
                return None

    def having(self, snapshot: str, versions: Iterable[Version]) -> frozenset[Version]:
        """Return which versions a snapshot has; none if its tree is not here."""
        with self._lock:
            found = self._read(snapshot)
        return having(found[1], versions) if found else frozenset()

    def complete(self, snapshot: str) -> Snapshot | None:
        """Return a snapshot if it and all its objects are here, ready to be applied."""
        found = self.find(snapshot)
        return None if found is None or self.missing(found) else found

    def ids(self) -> frozenset[str]:
        """Return the ids of all known snapshots, the pruned ones included."""
        return frozenset(self.headers())

    def headers(self) -> Mapping[str, Header]:
        """Return the headers of all known snapshots by id."""
        return self._list()[0]

    def whole(self) -> frozenset[str]:
        """Return the ids of the snapshots whose tree is still here."""
        return frozenset(name for name in self.ids() if self._has_tree(name))

    def incomplete(self, snapshots: Iterable[str]) -> frozenset[str]:
        """Return those of `snapshots` whose tree is not here, or not all of their objects."""
        here = frozenset(self.objects())
        needed = ((name, self._digests(name)) for name in snapshots)
        return frozenset(name for name, digests in needed if digests is None or not digests <= here)

    def graph(self) -> Graph:
        """Return the graph of all known snapshots."""
        return self._list()[1]

    def sound(self, snapshot: str) -> bool:
        """Read a manifest again; of a damaged one only its header may stay, if that is right."""
        whole = self._has_tree(snapshot)
        return self._read(snapshot) is not None and (not whole or self.find(snapshot) is not None)

    def objects(self) -> list[str]:
        """Return the digests of all objects."""
        return self._objects.digests()

    # Where this node stands

    def head(self) -> str | None:
        """Return the id of the snapshot that is live here; None before the first.

        Raise LostHeadError where what says so is damaged.
        """
        return read_head(self.directory)

    def set_head(self, snapshot: str | None) -> None:
        """Remember, durably, which snapshot is live here."""
        write_head(self.directory, snapshot)

    def replace_head(self, snapshot: str | None) -> None:
        """Set a head aside that cannot be read, and remember another one."""
        set_aside(self.directory / "head", "it names no snapshot")
        self.set_head(snapshot)

    def readable(self, snapshot: str) -> bool:
        """Tell whether a snapshot's manifest is here, whole and undamaged."""
        return self.find(snapshot) is not None

    def rebuild(self, snapshot: str, tree: Tree) -> bool:
        """Write a damaged manifest again if its header is here and describes `tree`.

        The objects must be here. Return whether it is whole then.
        """
        header = self.headers().get(snapshot)
        if header is None or header.tree != fingerprint(tree):
            return False
        again = Snapshot(
            roots=header.roots,
            tree=tree,
            parents=header.parents,
            node=header.node,
            time=header.time,
            summary=header.summary,
        )
        return self.add(again) == snapshot

    # Fetched and old ones

    def adopt(self, incoming: Path) -> frozenset[str]:
        """Take over, durably, what is right of `incoming/objects` and `incoming/snapshots`.

        Return the names of that, also where it was here already. What is not what its name says is
        removed and logged.
        """
        with keeping():
            right = self._objects.adopt(listing(incoming / "objects"))
            self._objects.sync()
            found = {path.name: fetched(path) for path in listing(incoming / "snapshots")}
        with self._lock, keeping():
            parents = {name: header.parents for name, header in found.items() if header}
            new = []
            for name in Graph(parents).oldest_first(parents):
                path = incoming / "snapshots" / name
                if self._says_more(path):
                    new.append((path, self._snapshots / name))
                else:
                    path.unlink()
            move_in(new)
            files.sync_directory(self._snapshots)
        return frozenset(right | parents.keys())

    def prune(self, keep: Collection[str], *, grace: float = GRACE) -> None:
        """Leave only the headers of all snapshots but `keep`, and no objects but theirs.

        What is younger than `grace` seconds is spared. See `retained` for what to keep.
        """
        before = time.time() - grace
        with self._lock, keeping():
            headers, needed = self.headers(), set[str]()
            spared = set(newest_first(headers)[:MAX_SNAPSHOTS]).union(keep)
            for name in headers:
                path = self._snapshots / name
                found = self._read(name)
                if found is None:
                    continue
                text = found[1]
                if name in keep or path.stat().st_mtime >= before:
                    needed.update(one.decode() for one in _DIGEST.findall(text))
                elif has_tree(text):
                    files.write(path, without_tree(text), mode=MODE)
            remove_old(self._snapshots, keep=spared, before=before)
            self._objects.prune(needed, before=before)

    def _list(self) -> tuple[Mapping[str, Header], Graph]:
        """Return the headers and their graph: values, made anew when the directory has changed."""
        with self._lock, reading():
            listed = self._snapshots.stat().st_mtime_ns
            # A clock tick is some milliseconds: what was written in this one is looked at again.
            if listed != self._listed or time.time_ns() - listed < _TICK:
                present = {path.name for path in self._snapshots.iterdir() if is_id(path.name)}
                if present != self._headers.keys():
                    known = {name: self._headers[name] for name in present & self._headers.keys()}
                    for new in present - known.keys():
                        found = self._read(new, only_header=True)
                        if found is not None:
                            known[new] = found[0]
                    self._headers, self._graph = known, graph_of(known)
                self._listed = listed
            return self._headers, self._graph

    def _read(self, snapshot: str, *, only_header: bool = False) -> tuple[Header, bytes] | None:
        """Return a manifest's header and verified text; None if there is none that is undamaged."""
        if not is_id(snapshot):
            raise ValueError(f"{snapshot!r} is not an id")
        path = self._snapshots / snapshot
        try:
            with files.open_regular(path) as file:
                text = file.readline(MAX_TEXT) if only_header else file.read(MAX_TEXT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            with reading():
                if error.errno not in DAMAGE:
                    raise
            set_aside(path, error.strerror or str(error))
            return None
        try:
            return prove(text, snapshot), text
        except ValueError as error:
            return self._leave_header(snapshot, text, str(error))

    def _leave_header(self, snapshot: str, text: bytes, why: str) -> tuple[Header, bytes] | None:
        """Set a damaged manifest aside, but for its header where that is right.

        So the graph stays whole, and the manifest can be fetched or made again.
        """
        path, line = self._snapshots / snapshot, without_tree(text)
        set_aside(path, why)
        try:
            header = prove(line, snapshot)
        except ValueError:
            return None
        with keeping():
            files.write(path, line, mode=MODE, durable=True)
        return header, line

    def _digests(self, snapshot: str) -> set[str] | None:
        """Return what objects a snapshot needs; None if its tree is not here."""
        found = self._read(snapshot)
        if found is None or not has_tree(found[1]):
            return None
        return {one.decode() for one in _DIGEST.findall(found[1])}

    def _has_tree(self, snapshot: str) -> bool:
        with suppress(OSError), files.open_regular(self._snapshots / snapshot) as file:
            return file.readline(MAX_TEXT).endswith(b"\n") and bool(file.read(1))
        return False

    def _says_more(self, path: Path) -> bool:
        """Tell whether a checked manifest has more than what is here."""
        known = self._read(path.name)
        return known is None or (not has_tree(known[1]) and path.stat().st_size > len(known[1]))
