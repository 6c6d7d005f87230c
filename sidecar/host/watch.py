"""Notices that files changed: told by the kernel (inotify) where it can tell, else by looking.

Given up for looking, said once in the log: file systems that do not tell of others' changes, a
limit of inotify, a directory that is not there.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Final

from sidecar.core.history.exclude import TEMPORARY
from sidecar.host.inotify import Inotify, LostError
from sidecar.host.mounts import containing, mounts

SETTLE: Final = 0.1
"""Seconds without a change after which it is told, if nobody is writing any more."""

PATIENCE: Final = 5.0
"""Seconds after which a change is told although there are always more; the last is told again."""

GATHER: Final = 0.05
"""Seconds between two questions to the kernel while things go on changing."""

IDENTITY_EVERY: Final = 5.0
"""Seconds between two looks whether a root is still the one that is watched."""

LIMIT_LASTS: Final = 300.0
"""Seconds after which what the kernel refused is asked of it again."""

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

_POLLED: Final[Counter[str]] = Counter()
"""How many are looking at what: a limit of the kernel is one of the whole process."""


def _no_matter(_: float) -> None:
    pass


async def changes(
    *roots: Path,
    single: Collection[Path] = (),
    whole_at: Callable[[float], None] = _no_matter,
) -> AsyncGenerator[None]:
    """Give an item each time something has changed and then been quiet, and one at the beginning.

    Watched are `roots` with all that is below them, no link followed, and each of `single`: a file,
    or what lies in a directory but not below. As soon as somebody begins to write, `whole_at` is
    told when (monotonic) that will have ended, as far as the kernel tells.
    """
    while True:
        mute = await asyncio.to_thread(_mute, roots, single)
        until: Callable[[], bool] = partial(_has_voice, roots, single)
        if not mute:
            try:
                async with aclosing(_told(roots, single, whole_at)) as told:
                    async for _ in told:
                        yield
            except OSError as error:
                mute = error.strerror or str(error)
                if not isinstance(error, FileNotFoundError | NotADirectoryError):
                    until = _after(LIMIT_LASTS)
        if mute:
            places = ", ".join(map(str, (*roots, *single)))
            _say_once(places, mute)
            with _counted(places):
                async with aclosing(_seen(roots, single, until)) as seen:
                    async for _ in seen:
                        yield


def polled() -> tuple[str, ...]:
    """Return what is being looked at each second, since the kernel does not tell."""
    return tuple(sorted(_POLLED))


def signature(*roots: Path, single: Collection[Path] = ()) -> Signature:
    """Return what tells a changed tree from an unchanged one: inodes, sizes and ctimes.

    Of `single` it is what they lead to. Blocks.
    """
    found = {entry for root in roots for entry in _walk(str(root))}
    for path in single:
        with suppress(OSError):
            status = path.stat()
            found.add((str(path), status.st_ino, status.st_size, status.st_ctime_ns))
    return frozenset(found)


@contextmanager
def _counted(places: str) -> Iterator[None]:
    _POLLED[places] += 1
    try:
        yield
    finally:
        _POLLED[places] -= 1
        if not _POLLED[places]:
            del _POLLED[places]


@cache
def _say_once(places: str, cause: str) -> None:
    log.warning(
        "cannot watch %s: %s; looking for changes every second instead",
        places,
        cause,
    )


def _mute(roots: Collection[Path], single: Collection[Path]) -> str:
    """Return why the kernel cannot tell of changes, or nothing."""
    mounted = mounts()
    for root in roots:
        if not root.is_dir():
            return f"{root} is not a directory"
    for place in (*roots, *single):
        kind = mounted.get(containing(place, mounted), "")
        if kind in SILENT or kind.startswith("fuse"):
            return f"{kind} does not report changes made elsewhere"
    return ""


def _has_voice(roots: Collection[Path], single: Collection[Path]) -> bool:
    return not _mute(roots, single)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


async def _told(
    roots: Collection[Path], single: Collection[Path], whole_at: Callable[[float], None]
) -> AsyncGenerator[None]:
    """Give the changes that the kernel tells of; end when a root is no longer the one watched."""
    inotify = Inotify()
    identities = await asyncio.to_thread(_identities, roots)
    await asyncio.to_thread(_add, inotify, roots, single)
    yield  # what happened until now was not seen
    with suppress(LostError):
        while True:
            if not await _readable(inotify.fd, IDENTITY_EVERY):
                if await asyncio.to_thread(_identities, roots) != identities:
                    break
            elif await asyncio.to_thread(inotify.read):
                await _quiet(inotify, whole_at)
                await asyncio.to_thread(_add, inotify, (), single)  # one may be a new file now
                yield


def _add(inotify: Inotify, roots: Collection[Path], single: Collection[Path]) -> None:
    inotify.add(map(str, roots), map(str, single))


async def _quiet(inotify: Inotify, whole_at: Callable[[float], None]) -> None:
    """Wait until nothing happens any more, or always something."""
    last = now = time.monotonic()
    deadline = now + PATIENCE
    while True:
        whole = inotify.writers.finished_at
        whole_at(whole)
        end = min(max(last + SETTLE, whole), deadline)
        if now >= end:
            break
        await asyncio.sleep(GATHER)
        if await _readable(inotify.fd, end - time.monotonic()):
            await asyncio.to_thread(inotify.read)
            last = time.monotonic()
        now = time.monotonic()
    inotify.writers.end_burst()


async def _readable(descriptor: int, timeout: float) -> bool:
    """Wait until a descriptor can be read; return False if it cannot within `timeout` seconds."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(timeout):
            await ready.wait()
    except TimeoutError:
        return ready.is_set()
    finally:
        loop.remove_reader(descriptor)
    return True


def _identities(roots: Collection[Path]) -> list[tuple[int, int] | None]:
    return [_identity(root) for root in roots]


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


async def _seen(
    roots: Collection[Path], single: Collection[Path], until: Callable[[], bool]
) -> AsyncGenerator[None]:
    """Give the changes that two looks show, until there is a better way."""
    look = partial(signature, *roots, single=single)
    seen = known = await asyncio.to_thread(look)
    yield
    while not await asyncio.to_thread(until):
        begun = time.monotonic()
        now = await asyncio.to_thread(look)
        cost = time.monotonic() - begun
        if now == seen != known:
            known = now
            yield
        seen = now
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
