"""Reads the synced folders.

A scan only counts when nothing moved under it: no directory changed while the tree was walked, no
file while it was read. Otherwise it is tried again, and at last says that the tree is busy.
What no node could take over (DESIGN.md §7) is refused, with the way out.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.core.history.exclude import DEFAULT_EXCLUDE, Excluded, excluder
from sidecar.core.history.snapshot import MAX_BYTES, MAX_MODE, MAX_PATHS, Entry, Kind, Tree
from sidecar.host.mounts import mounts
from sidecar.sync.live import DIRECTORY, READ, Stamp, digest_of, stamp
from sidecar.sync.refusal import (
    TOO_LONG,
    Advice,
    Refusal,
    mounted,
    no_root,
    refusal,
    special,
    too_many_bytes,
    too_many_paths,
    unreadable,
)

YOUNG: Final = 2_000_000_000
"""Nanoseconds for which a timestamp is not trusted: the next change may get the same one."""

TRIES: Final = 3
PAUSE: Final = 0.1
"""Seconds between two tries."""

MAX_REFUSALS: Final = 20
MAX_PATH: Final = 4096
"""Bytes of a path (PATH_MAX)."""
MAX_DEPTH: Final = 100
"""Directories below a root that lie in each other."""

Known = Mapping[str, tuple[Stamp, Entry]]
"""What files were when they were last read, by path: unless its stamp changes, a file is that."""

_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found; the tree only counts if the scan is `usable`."""

    tree: Tree
    refused: tuple[Refusal, ...] = ()
    busy: str = ""
    """A path that changed while it was looked at, in every try."""
    known: Known
    """For the next scan."""

    @property
    def usable(self) -> bool:
        """Nothing was refused, and nothing moved."""
        return not self.refused and not self.busy


def scan(
    roots: Sequence[str],
    *,
    exclude: Sequence[str] = DEFAULT_EXCLUDE,
    known: Known,
    clock: Callable[[], int] = time.time_ns,
    limits: tuple[int, int] = (MAX_PATHS, MAX_BYTES),
) -> Scan:
    """Return the tree below `roots`. Blocks: call it in a thread.

    Given: exclude patterns, what is known from the scan before (nothing: every file is read), the
    time in nanoseconds, and how many paths and bytes there may be.
    """
    excluded = excluder(tuple(exclude))
    result = _scan(roots, excluded, known, clock, limits)
    for _ in range(TRIES - 1):
        if not result.busy:
            break
        time.sleep(PAUSE)
        result = _scan(roots, excluded, {**known, **result.known}, clock, limits)
    return result


def _scan(
    roots: Sequence[str],
    excluded: Excluded,
    known: Known,
    clock: Callable[[], int],
    limits: tuple[int, int],
) -> Scan:
    walk = _Walk(excluded, mounts(), known, limits)
    for root in roots:
        walk.root(root)
    if walk.refused or walk.busy:
        busy = "" if walk.refused else walk.busy  # it cannot be used either way
        return Scan(tree={}, refused=tuple(walk.refused), busy=busy, known=known)
    reading = _Reading(clock)
    tree = walk.entries | {path: reading.entry(path, at) for path, at in walk.unread.items()}
    return Scan(
        tree=tree,
        refused=tuple(reading.refused),
        busy=reading.busy or walk.moved(),
        known=walk.known | reading.known,
    )


class _Walk:
    """Collects the entries below roots; of files that are not known, the status only."""

    def __init__(
        self,
        excluded: Excluded,
        mount_points: Mapping[str, str],
        known: Known,
        limits: tuple[int, int],
    ) -> None:
        self.entries: dict[str, Entry] = {}
        self.known: dict[str, tuple[Stamp, Entry]] = {}
        self.unread: dict[str, os.stat_result] = {}
        self.refused: list[Refusal] = []
        self.busy = ""
        self._excluded, self._mount_points, self._before = excluded, mount_points, known
        self._most_paths, self._most_bytes = limits
        self._paths, self._bytes = 0, 0
        self._stopped = False
        self._directories: dict[str, Stamp] = {}
        self._real = ""
        self._start = 0

    def root(self, root: str) -> None:
        """Walk through one root."""
        try:
            descriptor = os.open(root, DIRECTORY)
        except OSError as error:
            self._refuse(root, no_root(root, error))
            return
        self._start = len(root)
        self._real = os.path.realpath(root)  # as mount points are told
        try:
            self._directories[root] = stamp(os.fstat(descriptor))
            self._walk(descriptor, root)
        finally:
            os.close(descriptor)

    def moved(self) -> str:
        """Return a directory that is no longer as it was when it was listed, or nothing."""
        return next((path for path, seen in self._directories.items() if _now(path) != seen), "")

    def _walk(self, descriptor: int, path: str) -> None:
        with os.scandir(descriptor) as items:
            for item in items:
                if self._stopped:
                    return
                try:
                    self._take(descriptor, f"{path}/{item.name}", item)
                except (FileNotFoundError, NotADirectoryError):
                    self.busy = f"{path}/{item.name}"
                    self._stopped = True
                except OSError as error:
                    self._refuse(f"{path}/{item.name}", unreadable(error))

    def _take(self, parent: int, path: str, item: os.DirEntry[str]) -> None:
        relative = path[self._start :]
        if self._excluded(relative, item.is_dir(follow_symlinks=False)):
            return
        status = item.stat(follow_symlinks=False)
        mode = status.st_mode
        self._paths += 1
        if self._paths > self._most_paths:
            self._stop(path, too_many_paths(self._most_paths))
        if self._real + relative in self._mount_points:
            self._refuse(path, mounted(relative, directory=stat.S_ISDIR(mode)))
        elif _too_long(path):
            self._refuse(f"{path[:80]}…", TOO_LONG)
        elif stat.S_ISREG(mode):
            self._file(path, status)
        elif stat.S_ISLNK(mode):
            target = os.readlink(item.name, dir_fd=parent)
            self.entries[path] = Entry(kind=Kind.LINK, target=target)
        elif stat.S_ISDIR(mode):
            self._enter(parent, path, item.name, status)
        else:
            self._refuse(path, special(relative, mode))

    def _file(self, path: str, status: os.stat_result) -> None:
        before = self._before.get(path)
        if before is not None and before[0] == stamp(status):
            self.known[path] = before
            self.entries[path] = before[1]
        else:
            self.unread[path] = status
        self._bytes += status.st_size
        if self._bytes > self._most_bytes:
            sizes = {path: entry.size for path, entry in self.entries.items()}
            sizes |= {path: unread.st_size for path, unread in self.unread.items()}
            self._stop(max(sizes, key=sizes.__getitem__), too_many_bytes(self._most_bytes))

    def _enter(self, parent: int, path: str, name: str, status: os.stat_result) -> None:
        if path.count("/", self._start) > MAX_DEPTH:
            self._refuse(f"{path[:80]}…", TOO_LONG)
            return
        self.entries[path] = Entry(kind=Kind.DIRECTORY, mode=status.st_mode & MAX_MODE)
        self._directories[path] = stamp(status)
        descriptor = os.open(name, DIRECTORY, dir_fd=parent)
        try:
            self._walk(descriptor, path)
        finally:
            os.close(descriptor)

    def _stop(self, path: str, advice: Advice) -> None:
        """Refuse and go no further: who listed all of /var shall not wait for its end."""
        self._refuse(path, advice)
        self._stopped = True

    def _refuse(self, path: str, advice: Advice) -> None:
        self.refused.append(refusal(path, advice))
        self._stopped = self._stopped or len(self.refused) >= MAX_REFUSALS


class _Reading:
    """Makes entries of files by reading them."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.known: dict[str, tuple[Stamp, Entry]] = {}
        self.refused: list[Refusal] = []
        self.busy = ""
        self._clock = clock

    def entry(self, path: str, status: os.stat_result) -> Entry:
        """Return the entry of a file as it was when it was walked past."""
        seen, begun = stamp(status), self._clock()
        entry = Entry(
            kind=Kind.FILE,
            mode=status.st_mode & MAX_MODE,
            digest=self._read(path, seen),
            size=status.st_size,
        )
        if entry.digest and begun - seen[2] > YOUNG:
            self.known[path] = seen, entry
        return entry

    def _read(self, path: str, seen: Stamp) -> str:
        """Return the digest of a file; nothing if that does not matter any more."""
        if self.busy or len(self.refused) >= MAX_REFUSALS:
            return ""
        try:
            digest = _digest(path, seen)
        except OSError as error:
            self.refused.append(refusal(path, unreadable(error)))
            return ""
        if digest is None:
            self.busy = path
        return digest or ""


def _digest(path: str, seen: Stamp) -> str | None:
    """Return the digest of a file; None if it is no longer the one that was seen."""
    try:
        descriptor = os.open(path, READ)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    try:
        return digest_of(descriptor, seen)
    finally:
        os.close(descriptor)


def _now(path: str) -> Stamp | None:
    try:
        return stamp(os.lstat(path))
    except OSError:
        return None


def _too_long(path: str) -> bool:
    return 4 * len(path) >= MAX_PATH and len(os.fsencode(path)) >= MAX_PATH
