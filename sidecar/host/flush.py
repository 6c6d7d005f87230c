"""What was written survives a power loss: fsync(2) of each file, or one syncfs(2) for many.

Each fsync waits for a flush of the disk, so thousands of them take long. One syncfs writes all that
is pending on the file system, also for other programs: for a few files that may be much more than
was asked for.
"""

import ctypes
import os
import re
from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Final

from sidecar.host.mounts import type_of
from sidecar.host.parallel import for_each

MANY: Final = 64
"""From this many files on, syncfs is used."""

WHOLE: Final = frozenset({"btrfs", "ext3", "ext4", "f2fs", "tmpfs", "xfs", "zfs"})
"""File systems whose syncfs returns once everything is on the disk. With FUSE and some network file
systems it says nothing about the other end.
"""

TELLS_SINCE: Final = (5, 8)
"""The first Linux whose syncfs reports write errors (syncfs(2))."""


def flush(syncs: Collection[Callable[[], object]], within: Iterable[int]) -> None:
    """Make sure that files and directories survive a power loss as they are.

    Given: a function for each that does so by fsync, and descriptors of the directories that they
    lie in, each open until the next one is asked for. Raise OSError if it fails.
    """
    if len(syncs) < MANY or not _sync_whole(within):
        for_each(lambda sync: sync(), syncs)


def _sync_whole(within: Iterable[int]) -> bool:
    """Write all that is pending on the file systems of directories; return False if it cannot."""
    if not _tells():
        return False
    done = set[int]()
    for directory in within:
        device = os.fstat(directory).st_dev
        if device in done:
            continue
        # Any program's file may be what failed: fsync tells whether it is one of ours.
        if type_of(directory) not in WHOLE or _LIBC.syncfs(directory) != 0:
            return False
        done.add(device)
    return True


@cache
def _tells() -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= TELLS_SINCE


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syncfs.argtypes = (ctypes.c_int,)
