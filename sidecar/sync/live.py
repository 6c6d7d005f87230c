"""The synced folders as they are on the disk, reached without ever following a link below a root.

A path is opened directory by directory from its root, so that nothing that is turned into a link
meanwhile can lead a read or a write out of the tree.
"""

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from sidecar.core.history.snapshot import MAX_MODE, Entry, Kind
from sidecar.host import rename
from sidecar.host.flush import flush
from sidecar.host.rename import Place, Renamer

Stamp = tuple[int, int, int, int, int]
"""Device, inode, ctime, size, mtime of a file: another content has another one."""

OTHER: Final = Entry(kind=Kind.FILE, mode=-1)
"""Stands for a file that cannot be synced, e.g. a fifo; equal to nothing that can."""

READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
DIRECTORY: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

_CHUNK: Final = 1024 * 1024
_TRIES: Final = 3
_ABSENT: Final = suppress(FileNotFoundError, NotADirectoryError)


def stamp(status: os.stat_result) -> Stamp:
    """Return what tells one content of a file from another without reading it."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_ctime_ns,
        status.st_size,
        status.st_mtime_ns,
    )


def digest_of(descriptor: int, expected: Stamp) -> str | None:
    """Return the SHA-256 of an open file; None if it is not what was expected, or changed."""
    if stamp(os.fstat(descriptor)) != expected:
        return None
    content, size = hashlib.sha256(), 0
    while size <= expected[3] and (chunk := os.read(descriptor, _CHUNK)):  # it may grow for ever
        content.update(chunk)
        size += len(chunk)
    return content.hexdigest() if stamp(os.fstat(descriptor)) == expected else None


class Live:
    """The folders below `roots`; paths are absolute and lie below one of them."""

    def __init__(self, roots: Sequence[str], renamer: Renamer | None = None) -> None:
        self._roots = tuple(roots)
        self._renamer = renamer or Renamer()

    @contextmanager
    def opened(self, path: str) -> Iterator[int]:
        """Yield a directory's descriptor; raise OSError where the way there is no directory."""
        root = next((one for one in self._roots if f"{path}/".startswith(f"{one}/")), None)
        if root is None:
            raise ValueError(f"{path!r} lies below none of {', '.join(self._roots)}")
        descriptor = os.open(root, DIRECTORY)
        try:
            for name in path[len(root) + 1 :].split("/") if path != root else ():
                parent, descriptor = descriptor, os.open(name, DIRECTORY, dir_fd=descriptor)
                os.close(parent)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def place(self, path: str) -> Iterator[Place]:
        """Yield the open directory that a path lies in, and its name there."""
        directory, _, name = path.rpartition("/")
        with self.opened(directory) as descriptor:
            yield descriptor, name

    def status(self, path: str) -> os.stat_result | None:
        """Return what lstat(2) says of a path; None if nothing is there."""
        with _ABSENT, self.place(path) as (parent, name):
            return os.lstat(name, dir_fd=parent)
        return None

    def look(self, path: str) -> Entry | None:
        """Return the entry at a path, with its content hashed; None if there is none."""
        for _ in range(_TRIES):
            try:
                with self.place(path) as place:
                    entry = _look(place)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if entry is not None:
                return entry
        return OTHER

    def names(self, path: str) -> list[str]:
        """Return the names in a directory."""
        with self.opened(path) as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208 - pathlib knows no descriptors

    def set_mode(self, path: str, mode: int) -> None:
        """Change the permissions of a file or directory; its other bits, e.g. setgid, stay."""
        with self.place(path) as (parent, name):
            descriptor = os.open(name, READ, dir_fd=parent)
            try:
                special = os.fstat(descriptor).st_mode & 0o7777 & ~MAX_MODE
                os.fchmod(descriptor, mode | special)
            finally:
                os.close(descriptor)

    def move(self, source: str, target: str) -> None:
        """Rename; raise FileExistsError where something is at the target."""
        with self.place(source) as one, self.place(target) as other:
            self._renamer.move(one, other)

    def exchange(self, temporary: str, path: str) -> None:
        """Exchange two paths."""
        with self.place(temporary) as one, self.place(path) as other:
            self._renamer.exchange(one, other)

    def repair(self, temporary: str, path: str) -> None:
        """Finish or take back an exchange that a crash interrupted."""
        with _ABSENT, self.place(temporary) as one, self.place(path) as other:
            rename.repair(one, other)

    def drop(self, temporary: str) -> None:
        """Remove a temporary file, link or empty directory, if it is there."""
        with _ABSENT, self.place(temporary) as place:
            remove(place)

    def sync(self, *, files: Collection[str] = (), names_in: Collection[str] = ()) -> None:
        """Make sure that files, and the names in directories, survive a power loss as they are.

        What is gone by now is skipped.
        """
        directories = {path.rpartition("/")[0] for path in files}.union(names_in)
        flush(
            [
                *(partial(self._sync, path) for path in files),
                *(partial(self._sync_names, directory) for directory in names_in),
            ],
            self._each(directories),
        )

    def _sync(self, path: str) -> None:
        with _ABSENT, self.place(path) as (parent, name):
            descriptor = os.open(name, READ, dir_fd=parent)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _sync_names(self, directory: str) -> None:
        with _ABSENT, self.opened(directory) as descriptor:
            os.fsync(descriptor)

    def _each(self, directories: Iterable[str]) -> Iterator[int]:
        for directory in directories:
            with _ABSENT, self.opened(directory) as descriptor:
                yield descriptor


def remove(place: Place) -> None:
    """Remove a file, link or empty directory, if it is there."""
    parent, name = place
    with suppress(FileNotFoundError):
        try:
            os.unlink(name, dir_fd=parent)
        except IsADirectoryError:
            os.rmdir(name, dir_fd=parent)


def _look(place: Place) -> Entry | None:
    """Return the entry at a place; None if it changed while it was read."""
    parent, name = place
    status = os.lstat(name, dir_fd=parent)
    mode = status.st_mode & MAX_MODE
    if stat.S_ISLNK(status.st_mode):
        return Entry(kind=Kind.LINK, target=os.readlink(name, dir_fd=parent))
    if stat.S_ISDIR(status.st_mode):
        return Entry(kind=Kind.DIRECTORY, mode=mode)
    if not stat.S_ISREG(status.st_mode):
        return OTHER
    descriptor = os.open(name, READ, dir_fd=parent)
    try:
        digest = digest_of(descriptor, stamp(status))
    finally:
        os.close(descriptor)
    if digest is None:
        return None
    return Entry(kind=Kind.FILE, mode=mode, digest=digest, size=status.st_size)
