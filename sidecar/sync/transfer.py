"""Moves snapshots between nodes: every node only pulls, and believes only what it has hashed.

What a peer sends lands in `history/incoming/<peer>`, on the same file system as the store, which
adopts what is whole and right. A pull that was cut leaves there what had arrived, and the next one
goes on from that.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from sidecar.core.digest import is_id
from sidecar.core.history.manifest import MAX_TEXT
from sidecar.core.history.snapshot import MAX_BYTES, MAX_PATHS
from sidecar.core.settings import Address, Identity
from sidecar.core.sync_report import Progress
from sidecar.errors import ProgramError, SidecarError
from sidecar.host.paths import Paths
from sidecar.host.process import Completed, run
from sidecar.programs import rsync, ssh
from sidecar.programs.rsync import Module, Outcome
from sidecar.sync.objects import keeping
from sidecar.sync.session import Session
from sidecar.sync.store import MAX_SNAPSHOTS, History

TRIES: Final = 3
"""Runs of rsync in one pull; whoever asked for it tries again later anyway."""

LONGEST: Final = 900.0
"""Seconds of one run: 512 MiB at 5 Mbit/s. Silence ends one much earlier."""

GRACE: Final = 2.0
"""Seconds that a pull which is ended has to put what has arrived where the next one finds it."""

LISTED_WITHIN: Final = 30.0
"""Seconds for the list of all manifests of a peer."""

LEAST_RATE: Final = 32 * 1024
"""Bytes that have to arrive each second, on average over `SLOW_FOR` seconds."""

SLOW_FOR: Final = 30.0

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at what has arrived."""

MAX_HISTORY: Final = 2 * MAX_BYTES
"""Bytes of all manifests that one pull may bring."""

_FILE: Final = 512
"""Bytes that a file counts for beyond its content: it takes a name, and time."""

_PARTIAL: Final = "partial"
"""Directory of the files that were cut."""

Start = Callable[[], Awaitable[Completed]]

_HINTS: Final[Mapping[Outcome, str]] = {
    Outcome.AGAIN: "it is tried again",
    Outcome.LATER: "it is tried again, and goes on from what has arrived",
    Outcome.INCOMPLETE: "it is tried again; if it stays so, look at the disk of that node",
    Outcome.DISK: "make room on the volume of /var/lib/ha; it is tried again",
    Outcome.REFUSED: "is kiss-ha there of the same version, with the same settings?",
}


class TransferError(SidecarError):
    """A pull did not bring all that was asked for; `outcome` tells whether another try may."""

    def __init__(self, message: str, hint: str, *, outcome: Outcome) -> None:
        super().__init__(message, hint)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What a pull has brought so far."""

    bytes: int
    files: int
    """Those that are whole."""


class Transfer:
    """Pulls from the peers, each over a connection of its own that is kept.

    Given: the paths, the identity of this node, the port of every node's sshd, and the history.
    `ssh.install` comes first.
    """

    def __init__(self, paths: Paths, identity: Identity, *, port: int, history: History) -> None:
        self._paths = paths
        self._node = identity.node
        self._port = port
        self._history = history
        self._sessions: dict[Address, Session] = {}
        self._locks = {peer: asyncio.Lock() for peer in identity.peers}
        self.fetching: Mapping[str, Progress] = {}
        """How far the objects that are being fetched have arrived, by peer."""

    async def fetch_manifests(
        self, peer: Address, ids: Collection[str] | None = None
    ) -> frozenset[str]:
        """Bring the manifests `ids`, or all that `peer` has and we lack; return the new ones.

        Raise TransferError.
        """
        sizes = await self._lacking(peer) if ids is None else dict.fromkeys(ids, MAX_TEXT)
        return await self._pull(peer, Module.SNAPSHOTS, sizes)

    async def fetch_objects(self, peer: Address, sizes: Mapping[str, int]) -> frozenset[str]:
        """Bring contents, given with their bytes, and return those that are new.

        Raise TransferError.
        """
        found = f"{len(sizes)} files of {sum(sizes.values())} bytes"
        if len(sizes) > MAX_PATHS or sum(sizes.values()) > MAX_BYTES:
            raise _error(peer, f"{found} are more than a set may hold", Outcome.REFUSED)
        return await self._pull(peer, Module.OBJECTS, sizes)

    async def disconnect(self, peer: Address) -> None:
        """End the connection to `peer`; the next pull makes a new one."""
        if peer in self._sessions:
            await self._sessions[peer].close()

    async def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            await session.close()

    async def _lacking(self, peer: Address) -> Mapping[str, int]:
        """Return the ids of the snapshots that `peer` has and we lack, with their bytes."""
        command = rsync.list_command(self._source(peer, Module.SNAPSHOTS))
        async with self._locks[peer]:
            listing = partial(run, command, timeout=LISTED_WITHIN)
            listed = rsync.parse_list(await self._run(peer, listing))
        known = await asyncio.to_thread(self._history.ids)
        new = {name: size for name, size in listed.items() if is_id(name) and name not in known}
        # Those that are just being made or fetched there come on top.
        if len(new) > 2 * MAX_SNAPSHOTS or sum(new.values()) > MAX_HISTORY:
            found = f"it offers {len(new)} manifests of {sum(new.values())} bytes"
            raise _error(peer, f"{found}, which is too much", Outcome.REFUSED)
        if (largest := max(new.values(), default=0)) > MAX_TEXT:
            found = f"it offers a manifest of {largest} bytes"
            raise _error(peer, f"{found}, which is too much", Outcome.REFUSED)
        return new

    async def _pull(
        self, peer: Address, module: Module, sizes: Mapping[str, int]
    ) -> frozenset[str]:
        """Bring the files that `sizes` names, none larger than it says.

        Let the store adopt what came, and return it if it is all.
        """
        wanted = frozenset(sizes)
        if not all(map(is_id, wanted)):
            raise ValueError("a snapshot or an object is named by 64 hex digits")
        if not wanted:
            return wanted
        incoming = self._incoming(peer)
        source, destination = self._source(peer, module), incoming / module.value
        command = rsync.pull_command(
            source, destination, partial=incoming / _PARTIAL, largest=max(sizes.values())
        )
        names = "".join(f"{name}\n" for name in wanted).encode()
        async with self._locks[peer]:
            before = await asyncio.to_thread(_prepare, incoming, destination)
            most = before.bytes + sum(sizes.values()) + max(sizes.values())
            most += _FILE * (len(sizes) + 2)

            def show(arrived: Arrived) -> None:
                if module is Module.OBJECTS:
                    progress = Progress(done=min(arrived.files, len(wanted)), total=len(wanted))
                    self.fetching = {**self.fetching, str(peer): progress}

            show(before)
            try:
                if module is Module.OBJECTS:  # how large a manifest is, is not known before
                    room = sum(sizes.values()) - before.bytes
                    await asyncio.to_thread(_check_room, peer, incoming, room)
                start = partial(_watched, peer, command, names, incoming, most, show)
                await self._run(peer, start)
                show(await asyncio.to_thread(_arrived, incoming))  # to hash it all takes its time
                new = await self._adopt(peer, keep=False)
            except TransferError as error:
                await self._adopt(peer, keep=error.outcome is Outcome.LATER)
                raise
            finally:
                self.fetching = {one: it for one, it in self.fetching.items() if one != str(peer)}
        if wrong := min(wanted - new, default=""):
            raise _error(peer, f"what it has as {wrong} is something else", Outcome.INCOMPLETE)
        return new

    async def _run(self, peer: Address, start: Start) -> str:
        """Run rsync, more than once where that may help, and return its output."""
        tries = AsyncRetrying(
            retry=retry_if_exception(_may_help),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2),
            reraise=True,
        )
        return await tries(self._try, peer, start)

    async def _try(self, peer: Address, start: Start) -> str:
        try:
            await self._session(peer).open()
            completed = await start()
        except ProgramError as error:
            raise _error(peer, error.message, Outcome.LATER) from error
        outcome = rsync.classify(completed.code, completed.stderr)
        if outcome is Outcome.DONE:
            return completed.stdout
        if outcome is Outcome.LATER:
            # Whether the connection is still good cannot be told: a frozen peer's looks so.
            await self.disconnect(peer)
        raise _error(peer, rsync.explain(completed.code, completed.stderr), outcome)

    async def _adopt(self, peer: Address, *, keep: bool) -> frozenset[str]:
        """Let the store adopt what has arrived; `keep` the file that was cut for the next pull.

        Who is cancelled meanwhile waits for the end: the next pull begins with what is left.
        """
        task = asyncio.create_task(asyncio.to_thread(self._take, self._incoming(peer), keep))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise
        return task.result()

    def _take(self, incoming: Path, keep: bool) -> frozenset[str]:
        try:
            return self._history.adopt(incoming)
        finally:
            if not keep:
                shutil.rmtree(incoming)

    def _incoming(self, peer: Address) -> Path:
        return self._history.directory / "incoming" / str(peer)

    def _session(self, peer: Address) -> Session:
        if peer not in self._sessions:
            command = ssh.keeping_command(self._paths, node=self._node, peer=peer, port=self._port)
            socket = ssh.control_socket(self._paths, peer, self._port)
            self._sessions[peer] = Session(command, socket)
        return self._sessions[peer]

    def _source(self, peer: Address, module: Module) -> rsync.Source:
        command = ssh.sharing_command(self._paths, node=self._node, peer=peer, port=self._port)
        return rsync.Source(peer=peer, module=module, ssh=command)


async def _watched(
    peer: Address,
    command: Sequence[str],
    stdin: bytes,
    incoming: Path,
    most: int,
    show: Callable[[Arrived], None],
) -> Completed:
    """Run a pull, and end it when more arrives in `incoming` than `most` bytes, or too little.

    What has arrived is given to `show` each second. Raise TransferError or ProgramError.
    """
    running = run(command, timeout=LONGEST, stdin=stdin, grace=GRACE)
    pull = asyncio.create_task(running, name=f"rsync {peer}")
    try:
        since, before = time.monotonic(), 0
        while not (await asyncio.wait({pull}, timeout=LOOK_EVERY))[0]:
            found, now = await asyncio.to_thread(_arrived, incoming), time.monotonic()
            show(found)
            arrived = found.bytes
            if arrived > most:
                raise _error(peer, f"it sends more than the {most} bytes it has", Outcome.REFUSED)
            if arrived < before or arrived - before >= LEAST_RATE * SLOW_FOR:
                since, before = now, arrived
            elif now - since >= SLOW_FOR:
                slow = f"less than {LEAST_RATE // 1024} kB/s for {SLOW_FOR:g} s"
                raise ProgramError(f"it sends {slow}")
        return pull.result()
    finally:
        pull.cancel()
        await asyncio.gather(pull, return_exceptions=True)


def _prepare(incoming: Path, destination: Path) -> Arrived:
    """Make the place for what comes; return what is there from an earlier pull."""
    with keeping():
        destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _arrived(incoming)


def _check_room(peer: Address, incoming: Path, needed: int) -> None:
    """Raise TransferError where that many bytes cannot be kept."""
    free = shutil.disk_usage(incoming).free
    if needed > free:
        cause = f"No space left: {needed} bytes are needed, {free} are free"
        raise _error(peer, cause, Outcome.DISK)


def _arrived(incoming: Path) -> Arrived:
    """Return what has arrived, with `_FILE` bytes more for each file."""
    size = files = 0
    for place, _, names in os.walk(incoming):
        whole = Path(place).name != _PARTIAL
        for name in names:
            with suppress(FileNotFoundError):
                size += _FILE + os.lstat(f"{place}/{name}").st_size
                files += whole and not name.startswith(".")
    return Arrived(bytes=size, files=files)


def _may_help(error: BaseException) -> bool:
    """Tell whether another try at once may help: not while there is no connection at all."""
    return (
        isinstance(error, TransferError)
        and error.outcome in {Outcome.AGAIN, Outcome.LATER}
        and error.__cause__ is None
    )


def _error(peer: Address, cause: str, outcome: Outcome) -> TransferError:
    return TransferError(f"cannot fetch from {peer}: {cause}", _HINTS[outcome], outcome=outcome)
