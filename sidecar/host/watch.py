"""Notices that files changed: told by the kernel (inotify) where it can tell, else by looking.

Given up for looking, said once in the log: file systems that do not tell of others' changes, a
limit of inotify, a directory that is not there.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import cache, partial
from pathlib import Path
from typing import Final

from watchfiles import watch
from watchfiles.main import FileChange

from sidecar.core.exclude import TEMPORARY
from sidecar.host.mounts import containing, mounts

SETTLE: Final = 0.5
"""Seconds without a change after which it is told."""

PATIENCE: Final = 5.0
"""Seconds after which a change is told although there are always more; the last is told again."""

EVERY: Final = 1.0
"""Seconds between two looks; more where a look takes long."""

MOST_LOAD: Final = 0.02
"""Share of a core that looking may take."""

SILENT: Final = frozenset(
    {
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fakeowner",
        "glusterfs",
        "grpcfuse",
        "nfs",
        "nfs4",
        "prl_fs",
        "smb3",
        "vboxsf",
        "virtiofs",
    }
)
"""File systems whose files change elsewhere without a word here; those of FUSE as well."""

Signature = frozenset[tuple[str, int, int, int]]

log = logging.getLogger("watch")
logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells every change

_STEP: Final = 0.05
"""Seconds between two questions to the library, whose own answer needs up to two of them."""


async def changes(*roots: Path) -> AsyncIterator[float]:
    """Give an item each time something below `roots` has changed and then been quiet.

    It is the monotonic time before which all of that has happened.
    """
    while True:
        mute = await asyncio.to_thread(_mute, roots)
        until: Callable[[], bool] = partial(_has_voice, roots)
        if not mute:
            try:
                async with aclosing(_told(roots)) as told:
                    async for before in told:
                        yield before
            except (OSError, RuntimeError) as error:  # a limit of inotify raises either
                mute, until = str(error), _never
            yield time.monotonic()  # what changed in between was not seen
        if mute:
            _say_once(", ".join(map(str, roots)), mute)
            async with aclosing(_seen(roots, until)) as seen:
                async for before in seen:
                    yield before
            yield time.monotonic()


def signature(*roots: Path) -> Signature:
    """Return what tells a changed tree from an unchanged one: inodes, sizes and ctimes."""
    return frozenset(entry for root in roots for entry in _walk(str(root)))


@cache
def _say_once(roots: str, cause: str) -> None:
    log.warning(
        "cannot be told of changes below %s: %s; they are looked for each second instead",
        roots,
        cause,
    )


def _mute(roots: tuple[Path, ...]) -> str:
    """Return why the kernel cannot tell of changes below `roots`, or nothing."""
    mounted = mounts()
    for root in roots:
        if not root.is_dir():
            return f"{root} is not a directory"
        kind = mounted.get(containing(root, mounted), "")
        if kind in SILENT or kind.startswith("fuse"):
            return f"{kind} does not tell of changes that others make"
    return ""


def _has_voice(roots: tuple[Path, ...]) -> bool:
    return not _mute(roots)


def _never() -> bool:
    return False


async def _told(roots: tuple[Path, ...]) -> AsyncGenerator[float]:
    """Give the changes that the kernel tells of; end when a root is no longer the one watched."""
    identities = _identities(roots)
    known = await asyncio.to_thread(signature, *roots)
    stop = threading.Event()
    events = _events(roots, stop)
    try:
        await asyncio.to_thread(next, events, None)
        since = 0.0
        changed = known != await asyncio.to_thread(signature, *roots)
        before = time.monotonic()
        while _identities(roots) == identities:
            now = time.monotonic()
            if changed:
                since, before = since or now, now
            if since and (not changed or now - since >= PATIENCE):
                since = now if changed else 0.0
                yield before
            changed = bool(await asyncio.to_thread(next, events, None))
    finally:
        stop.set()  # the thread that waits ends within a step


def _events(roots: tuple[Path, ...], stop: threading.Event) -> Iterator[set[FileChange]]:
    """Return what the library sees: a set of changes at once, an empty one after a quiet time."""
    return watch(
        *roots,
        watch_filter=None,
        debounce=1000,
        step=round(_STEP * 1000),
        stop_event=stop,
        rust_timeout=round((SETTLE - 2 * _STEP) * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
        debug=False,  # each of these three would be read from the environment
        force_polling=False,
        ignore_permission_denied=True,
    )


def _identities(roots: tuple[Path, ...]) -> list[tuple[int, int] | None]:
    return [_identity(root) for root in roots]


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def _seen(roots: tuple[Path, ...], until: Callable[[], bool]) -> AsyncGenerator[float]:
    """Give the changes that two looks show, until there is a better way."""
    seen = known = await asyncio.to_thread(signature, *roots)
    before = time.monotonic()
    while not await asyncio.to_thread(until):
        begun = time.monotonic()
        now = await asyncio.to_thread(signature, *roots)
        cost = time.monotonic() - begun
        if now == seen != known:
            known = now
            yield before
        seen, before = now, begun + cost
        await asyncio.sleep(max(EVERY, cost / MOST_LOAD))


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
        if entry.is_dir(follow_symlinks=False):
            # Its times change with temporary files; what comes and goes in it is seen below.
            yield entry.path, status.st_ino, status.st_mode, 0
            yield from _walk(entry.path)
        elif not entry.name.startswith(TEMPORARY):
            yield entry.path, status.st_ino, status.st_size, status.st_ctime_ns
