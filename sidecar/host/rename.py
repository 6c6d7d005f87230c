"""Renames that exchange two names, or that replace nothing: renameat2(2).

File systems without it (NFS, some of FUSE) get the same by plain renames, with a moment in between
that `repair` can finish after a crash.
"""

import ctypes
import errno
import os
from contextlib import suppress
from typing import Final

Place = tuple[int, str]
"""A name in an open directory."""

_NOREPLACE: Final = 1
_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_SUFFIX: Final = "~"


class Renamer:
    """Renames; with `native=False` as on a file system that only knows rename(2)."""

    def __init__(self, *, native: bool = True) -> None:
        self._native = native

    def move(self, source: Place, target: Place) -> None:
        """Rename; raise FileExistsError where something is at the target."""
        if self._native and _renameat2(source, target, _NOREPLACE):
            return
        if _exists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target[1])
        _rename(source, target)

    def exchange(self, temporary: Place, place: Place) -> None:
        """Let two names change places; they may be of different kinds."""
        if self._native and _renameat2(temporary, place, _EXCHANGE):
            return
        between = _between(temporary)
        _rename(place, between)
        _rename(temporary, place)
        _rename(between, temporary)


def repair(temporary: Place, place: Place) -> None:
    """Finish or take back what a crash interrupted between the renames of `exchange`."""
    between = _between(temporary)
    if not _exists(between):
        return
    if not _exists(place):
        _rename(between, place)
    elif not _exists(temporary):
        _rename(between, temporary)


def _between(place: Place) -> Place:
    return place[0], f"{place[1]}{_SUFFIX}"


def _rename(source: Place, target: Place) -> None:
    os.rename(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0])


def _exists(place: Place) -> bool:
    with suppress(FileNotFoundError):
        os.lstat(place[1], dir_fd=place[0])
        return True
    return False


def _renameat2(source: Place, target: Place, flags: int) -> bool:
    """Call renameat2(2) and return False where the file system does not know the flags."""
    names = os.fsencode(source[1]), os.fsencode(target[1])
    if _LIBC.renameat2(source[0], names[0], target[0], names[1], flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), target[1])


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.renameat2.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)
