"""inotify(7) without a library: which of some directories and files something happens to.

The kernel queues what happens; nothing here waits for it, and no link below a root is followed.
"""

import ctypes
import os
import stat
import struct
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from sidecar.core.history.exclude import TEMPORARY
from sidecar.host.writers import File, Writers

MAX_DIRECTORIES: Final = 20_000
"""Directories below the roots; sync takes no more paths either."""

_CHUNK: Final = 64 * 1024
_MOST_CHUNKS: Final = 16
"""What is taken at once; whoever never stops writing must not keep a thread for ever."""

_EVENT: Final = struct.Struct("iIII")
"""struct inotify_event: watch descriptor, mask, cookie, length of the name that follows."""

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLYDIR, _DONT_FOLLOW, _EXCL_UNLINK, _ISDIR = 0x1000000, 0x2000000, 0x4000000, 0x40000000

_CONTENT: Final = _MODIFY | _ATTRIB | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_WATCHED: Final = _CONTENT | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF | _EXCL_UNLINK
_LOST: Final = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED

_OURS: Final = TEMPORARY.encode()

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class LostError(Exception):
    """What is watched is no longer what was asked for: begin anew."""


class Inotify:
    """Watches directories with all that is below them, and single directories and files.

    `fd` can be read when something has happened; then `read` tells. `add` and `read` may block for
    as long as a tree takes to be walked through: call them in a thread, one at a time.
    """

    def __init__(self) -> None:
        """Raise OSError where the kernel has no more instances for this user."""
        self.fd = _check(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")
        # A thread may still use it when nobody waits for that thread any more.
        weakref.finalize(self, os.close, self.fd)
        self._deep: dict[int, str] = {}
        """The directories whose subdirectories are watched too, by watch descriptor."""
        self._roots: set[int] = set()
        self.writers = Writers()
        """Who is still writing to what is watched."""

    def add(self, roots: Iterable[str], single: Iterable[str]) -> None:
        """Watch all below `roots`, and each of `single` alone; raise OSError where it cannot be.

        A root or single may be a link; one of `single` that is not there is left out.
        """
        for root in roots:
            self._roots.add(self._watch(root, _ONLYDIR))
            self._descend(root)
        for path in single:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._watch(path, 0)

    def read(self) -> bool:
        """Take what has happened; return whether that matters. Raise LostError or OSError.

        New directories are watched from now on.
        """
        happened = False
        for _ in range(_MOST_CHUNKS):
            if not (events := self._events()):
                break
            for descriptor, mask, name in _parsed(events):
                self._note(mask, (descriptor, name))
                happened = happened or mask != _CLOSE_WRITE
                if mask & _OVERFLOW:
                    raise LostError("the kernel has dropped events")
                if mask & _LOST:
                    if descriptor in self._roots:
                        raise LostError("a root was moved or removed")
                    if mask & _IGNORED:
                        self._deep.pop(descriptor, None)
                        self.writers.forget(descriptor)
                elif mask & _ISDIR and descriptor in self._deep:
                    self._follow(f"{self._deep[descriptor]}/{os.fsdecode(name)}", mask)
        return happened

    def _note(self, mask: int, file: File) -> None:
        """Note who is writing; what we put in place is whole."""
        if file[1].startswith(_OURS):
            return
        now = time.monotonic()
        if mask & _CLOSE_WRITE:
            self.writers.close(file)
        elif mask & _MODIFY:
            self.writers.write(file, now)
        elif mask & _CREATE:
            self.writers.create(file)
            if not mask & _ISDIR and self._is_being_made(file):
                self.writers.write(file, now)
        elif mask & _MOVED_TO:
            self.writers.arrive(file)
        elif mask & (_MOVED_FROM | _DELETE):
            self.writers.vanish(file, now)

    def _is_being_made(self, file: File) -> bool:
        """Tell whether somebody has just opened a new file: a link is whole at once."""
        directory, name = file
        try:
            status = os.lstat(f"{self._deep[directory]}/{os.fsdecode(name)}")
        except (KeyError, OSError):
            return False
        return stat.S_ISREG(status.st_mode) and status.st_nlink == 1

    def _events(self) -> bytes:
        try:
            return os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return b""

    def _follow(self, path: str, mask: int) -> None:
        """Watch a directory that came; forget one that was moved away, with all below it."""
        if mask & _MOVED_FROM:
            below = f"{path}/"
            gone = [one for one, at in self._deep.items() if f"{at}/".startswith(below)]
            for descriptor in gone:
                del self._deep[descriptor]
                _LIBC.inotify_rm_watch(self.fd, descriptor)
        elif mask & (_CREATE | _MOVED_TO):
            self._enter(path)

    def _enter(self, path: str) -> None:
        """Watch a directory with all below it, unless it is gone or a link by now."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._watch(path, _ONLYDIR | _DONT_FOLLOW)
            self._descend(path)

    def _descend(self, path: str) -> None:
        """Watch what is below a directory; it is watched itself, so that nothing slips through."""
        pending = [path]
        while pending:
            directory = pending.pop()
            for child in _directories(directory):
                with suppress(FileNotFoundError, NotADirectoryError):
                    self._watch(child, _ONLYDIR | _DONT_FOLLOW)
                    pending.append(child)

    def _watch(self, path: str, flags: int) -> int:
        encoded = os.fsencode(path)
        result = _LIBC.inotify_add_watch(self.fd, encoded, _WATCHED | flags)
        descriptor = _check(result, path)
        if flags & _ONLYDIR:
            self._deep[descriptor] = path
            if len(self._deep) > MAX_DIRECTORIES:
                raise OSError(0, f"there are more than {MAX_DIRECTORIES:,} directories", path)
        return descriptor


def _directories(path: str) -> list[str]:
    try:
        with os.scandir(path) as items:
            return [item.path for item in items if item.is_dir(follow_symlinks=False)]
    except OSError:  # gone since, or not ours to read: the same as empty
        return []


def _parsed(events: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give the watch descriptor, mask and name of each event."""
    at = 0
    while at < len(events):
        descriptor, mask, _, length = _EVENT.unpack_from(events, at)
        at += _EVENT.size
        yield descriptor, mask, events[at : at + length].rstrip(b"\0")
        at += length


def _check(result: int, path: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result
