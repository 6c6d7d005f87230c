"""Moves snapshots between nodes: every node only pulls, and believes only what it has hashed.

What a peer sends lands in `history/incoming/<peer>`, on the same file system as the store, which
adopts what is whole and right. A pull that was cut leaves there what had arrived, and the next one
goes on from that.
"""

import asyncio
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from sidecar.core.settings import Address, Identity
from sidecar.core.snapshot import MAX_BYTES, MAX_PATHS, MAX_TEXT, is_id
from sidecar.errors import ProgramError, SidecarError
from sidecar.host.paths import Paths
from sidecar.host.process import run
from sidecar.programs import rsync, ssh
from sidecar.programs.rsync import Module, Outcome
from sidecar.sync.objects import keeping
from sidecar.sync.session import Session
from sidecar.sync.store import MAX_SNAPSHOTS, History

TRIES: Final = 3
"""Runs of rsync in one pull; whoever asked for it tries again later anyway."""

LONGEST: Final = 900.0
"""Seconds of one run: 512 MiB at 5 Mbit/s. Silence ends one much earlier."""

MAX_HISTORY: Final = 4 * MAX_BYTES
"""Bytes of all manifests that one pull may bring."""

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


class Transfer:
    """Pulls from the peers, each over a connection of its own that is kept.

    Given: where things lie, who we are, the port of every node's sshd, and the history.
    `ssh.install` comes first.
    """

    def __init__(self, paths: Paths, identity: Identity, *, port: int, history: History) -> None:
        self._paths = paths
        self._node = identity.node
        self._port = port
        self._history = history
        self._sessions: dict[Address, Session] = {}
        self._locks = {peer: asyncio.Lock() for peer in identity.peers}

    async def fetch_manifests(
        self, peer: Address, ids: Collection[str] | None = None
    ) -> frozenset[str]:
        """Bring the manifests `ids`, or all that `peer` has and we lack; return the new ones.

        Raise TransferError.
        """
        if ids is None:
            ids = await self._lacking(peer)
        return await self._pull(peer, Module.SNAPSHOTS, ids, largest=MAX_TEXT)

    async def fetch_objects(self, peer: Address, digests: Collection[str]) -> frozenset[str]:
        """Bring the contents `digests` and return those that are new; raise TransferError."""
        if len(digests) > MAX_PATHS:
            raise _error(peer, f"{len(digests)} files are more than {MAX_PATHS}", Outcome.REFUSED)
        return await self._pull(peer, Module.OBJECTS, digests, largest=MAX_BYTES)

    async def disconnect(self, peer: Address) -> None:
        """End the connection to `peer`; the next pull makes a new one."""
        if peer in self._sessions:
            await self._sessions[peer].close()

    async def close(self) -> None:
        """End all connections."""
        for session in self._sessions.values():
            await session.close()

    async def _lacking(self, peer: Address) -> Collection[str]:
        """Return the ids of the snapshots that `peer` has and we lack."""
        command = rsync.list_command(self._source(peer, Module.SNAPSHOTS))
        async with self._locks[peer]:
            listed = rsync.parse_list(await self._run(peer, command))
        known = await asyncio.to_thread(self._history.ids)
        new = {name: size for name, size in listed.items() if is_id(name) and name not in known}
        # Those that are just being made or fetched there come on top.
        if len(new) > 2 * MAX_SNAPSHOTS or sum(new.values()) > MAX_HISTORY:
            found = f"it offers {len(new)} manifests of {sum(new.values())} bytes"
            raise _error(peer, f"{found}, which is too much", Outcome.REFUSED)
        return new.keys()

    async def _pull(
        self, peer: Address, module: Module, names: Collection[str], *, largest: int
    ) -> frozenset[str]:
        """Bring the files `names`, let the store adopt what came, and return it if it is all."""
        wanted = frozenset(names)
        if not all(map(is_id, wanted)):
            raise ValueError("a snapshot or an object is named by 64 hex digits")
        if not wanted:
            return wanted
        incoming = self._incoming(peer)
        source, destination = self._source(peer, module), incoming / module.value
        command = rsync.pull_command(
            source, destination, partial=incoming / "partial", largest=largest
        )
        async with self._locks[peer]:
            with keeping():
                destination.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                await self._run(peer, command, "".join(f"{name}\n" for name in wanted).encode())
            except TransferError as error:
                await self._adopt(peer, keep=error.outcome is Outcome.LATER)
                raise
            new = await self._adopt(peer, keep=False)
        if wrong := min(wanted - new, default=""):
            raise _error(peer, f"what it has as {wrong} is something else", Outcome.INCOMPLETE)
        return new

    async def _run(self, peer: Address, command: Sequence[str], stdin: bytes | None = None) -> str:
        """Run rsync, more than once where that may help, and return its output."""
        tries = AsyncRetrying(
            retry=retry_if_exception(_may_help),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2),
            reraise=True,
        )
        return await tries(self._try, peer, command, stdin)

    async def _try(self, peer: Address, command: Sequence[str], stdin: bytes | None) -> str:
        try:
            await self._session(peer).open()
            completed = await run(command, timeout=LONGEST, stdin=stdin)
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
        """Let the store adopt what has arrived; `keep` the file that was cut for the next pull."""
        incoming = self._incoming(peer)
        try:
            return await asyncio.to_thread(self._history.adopt, incoming)
        finally:
            if not keep:
                await asyncio.to_thread(shutil.rmtree, incoming)

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


def _may_help(error: BaseException) -> bool:
    """Tell whether another try at once may help: not while there is no connection at all."""
    return (
        isinstance(error, TransferError)
        and error.outcome in {Outcome.AGAIN, Outcome.LATER}
        and error.__cause__ is None
    )


def _error(peer: Address, cause: str, outcome: Outcome) -> TransferError:
    return TransferError(f"cannot fetch from {peer}: {cause}", _HINTS[outcome], outcome=outcome)
