"""Notices that files changed, by looking: works on every file system, also over NFS and in virtual machines."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

EVERY: Final = 1.0
"""Seconds between two looks; more where a look takes long."""

MOST_LOAD: Final = 0.02
"""Share of a core that looking may take."""

Signature = frozenset[tuple[str, int, int, int]]


async def changes(*roots: Path) -> AsyncIterator[None]:
    """Give one item each time something below `roots` has changed and then been quiet for a look."""
    seen = known = await asyncio.to_thread(signature, *roots)
    while True:
        begun = time.monotonic()
        now = await asyncio.to_thread(signature, *roots)
        cost = time.monotonic() - begun
        if now == seen != known:
            known = now
            yield
        seen = now
        await asyncio.sleep(max(EVERY, cost / MOST_LOAD))


def signature(*roots: Path) -> Signature:
    """Return what tells a changed tree from an unchanged one: every entry's inode, size and ctime."""
    return frozenset(entry for root in roots for entry in _walk(str(root)))


def _walk(directory: str) -> Iterator[tuple[str, int, int, int]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:  # gone since, or not ours to read: the same as empty
        return
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        yield entry.path, status.st_ino, status.st_size, status.st_ctime_ns
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
