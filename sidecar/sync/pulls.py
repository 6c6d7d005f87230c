"""Brings snapshots from a peer, beside the passes: a pass only uses what is here whole."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.history.snapshot import Kind
from sidecar.core.sync_report import Progress
from sidecar.errors import RefusedError, SidecarError
from sidecar.sync.lookup import lookup
from sidecar.sync.peers import Peers
from sidecar.sync.store import History
from sidecar.sync.transfer import Transfer

AGAIN: Final = 300.0
"""Seconds after which a peer is asked once more for what it did not have."""

log = logging.getLogger("sync")


async def pull(transfer: Transfer, history: History, node: str, name: str) -> None:
    """Bring a snapshot with its objects from a peer; raise SidecarError if it is not whole then."""
    lacking = await _manifest(transfer, history, node, name)
    await transfer.fetch_objects(ip_address(node), lacking)
    if await asyncio.to_thread(_lacking, history, name):
        raise SidecarError(f"cannot use snapshot {name[:12]} of {node}: it is not whole")


async def pull_head(transfer: Transfer, history: History, node: str, name: str) -> None:
    """Bring a peer's head, as `pull` does, and the manifests of its ancestors."""
    await _manifest(transfer, history, node, name)
    if await asyncio.to_thread(lambda: history.graph().unknown(name)):
        await transfer.fetch_manifests(ip_address(node))
    await pull(transfer, history, node, name)


async def _manifest(
    transfer: Transfer, history: History, node: str, name: str
) -> Mapping[str, int]:
    """Bring a manifest if need be; return what of its objects is not here, with the bytes."""
    try:
        return await asyncio.to_thread(_lacking, history, name)
    except SidecarError:  # it is not here, or only its header is
        await transfer.fetch_manifests(ip_address(node), {name})
    return await asyncio.to_thread(_lacking, history, name)


def _lacking(history: History, name: str) -> Mapping[str, int]:
    snapshot = history.get(name)
    missing = history.missing(snapshot)
    sizes = {one.digest: one.size for one in snapshot.tree.values() if one.kind is Kind.FILE}
    return {digest: sizes[digest] for digest in missing}


class Pulls:
    """The pulls that are under way: of each peer's head at most one, and of the past one in all.

    Given: how to pull, the history, and the pace at which a peer is asked again after a failure.
    """

    def __init__(self, transfer: Transfer, history: History, pace: Backoff) -> None:
        self._transfer, self._history = transfer, history
        self.peers = Peers(pace=pace)
        """What is known of them; another value after each change."""
        self.ended = asyncio.Event()
        """Set when the pull of a head has ended."""
        self._heads: dict[str, asyncio.Task[None]] = {}
        self._past: asyncio.Task[None] | None = None
        self._whole: frozenset[str] = frozenset()
        """Snapshots that are known to be here with all that belongs to them."""
        self._tried: dict[tuple[str, str], float] = {}
        """Monotonic time from which a peer is asked once more for a snapshot of the past."""
        self.of_heads: Mapping[str, str] = {}
        """What is being pulled, by peer."""
        self.begun = 0
        """How many pulls of heads have begun."""

    @property
    def fetching(self) -> Mapping[str, Progress]:
        """How far the pulls of heads are, by peer; those that have begun to fetch files."""
        progress = self._transfer.fetching
        return {node: progress[node] for node in self.of_heads if node in progress}

    def see(self, heads: Mapping[str, str | None]) -> bool:
        """Learn the heads of the linked peers and return whether that is news."""
        news = heads != self.peers.heads
        if news:
            self.peers = self.peers.seen(heads)
        return news

    def forgive(self) -> None:
        """Ask all peers again now."""
        self.peers = self.peers.forgiven()

    def count_equal(self, head: str | None) -> None:
        """Note which peers have what this node has."""
        self.peers = self.peers.compared(head, time.time())

    def begin(self, node: str, head: str) -> None:
        """Begin to pull a peer's head; there is no pull of one under way with that peer."""
        self._give_way()
        self.begun += 1
        self.of_heads = {**self.of_heads, node: head}
        self._heads[node] = asyncio.create_task(self._pull(node, head), name=f"pull from {node}")

    async def wait(self) -> None:
        """Wait until the pulls of heads that are under way have ended."""
        if self._heads:
            await asyncio.wait(self._heads.values())

    async def fetch_manifest(self, node: str, name: str) -> None:
        """Bring a manifest from a peer; raise SidecarError."""
        await self._transfer.fetch_manifests(ip_address(node), {name})

    async def find(self, text: str) -> str:
        """Return the id of the snapshot that a person names; raise RefusedError."""
        return await asyncio.to_thread(lookup, self._history, text)

    async def bring(self, name: str) -> None:
        """Make a snapshot whole that is not; raise RefusedError if no linked peer has it whole."""
        if not await asyncio.to_thread(self._history.incomplete, [name]):
            return
        self._give_way()
        for node in self.peers.heads:
            try:
                await pull(self._transfer, self._history, node, name)
            except SidecarError as error:
                log.warning("%s", error)
            else:
                return
        raise RefusedError(
            f"cannot use snapshot {name[:12]}: its files are not all on this node, "
            "and no linked node has them",
            "`ha history` marks those that are not whole",
        )

    async def fill(self, kept: Sequence[str]) -> None:
        """Bring what is missing of the snapshots `kept`, until a head is to be pulled."""
        unsure = [name for name in kept if name not in self._whole]
        missing = await asyncio.to_thread(self._history.incomplete, unsure) if unsure else ()
        self._whole = frozenset(kept).difference(missing)
        for name in (one for one in unsure if one in missing):
            for node in self.peers.willing({}, time.monotonic()):
                if time.monotonic() < self._tried.get((node, name), 0.0):
                    continue
                brought = await self._bring_past(node, name)
                if brought is None:
                    return
                if brought:
                    break

    def doubt(self) -> None:
        """Look again whether the past is here: what was may have turned out to be damaged."""
        self._whole = frozenset()

    async def close(self) -> None:
        """End all."""
        heads = tuple(self._heads.values())
        for one in heads:
            one.cancel()
        await asyncio.gather(*heads, return_exceptions=True)
        await self._transfer.close()

    async def _pull(self, node: str, head: str) -> None:
        """Bring a peer's head; whatever goes wrong counts against that peer alone."""
        try:
            await pull_head(self._transfer, self._history, node, head)
        except SidecarError as error:
            self._fail(node, error)
            log.warning("%s", error)
        except Exception as error:  # the top of this pull: the others go on
            self._fail(node, SidecarError(f"cannot use what {node} sends: {error}"))
            log.exception("the pull from %s failed by a bug", node)
        else:
            self.peers = self.peers.succeeded(node, head, time.time())
        finally:
            del self._heads[node]
            self.of_heads = {one: it for one, it in self.of_heads.items() if one != node}
            self.ended.set()

    def _fail(self, node: str, error: SidecarError) -> None:
        self.peers = self.peers.failed(node, error, time.monotonic())

    def _give_way(self) -> None:
        """End the pull of the past: another one is more urgent. It goes on later."""
        if self._past is not None:
            self._past.cancel()

    async def _bring_past(self, node: str, name: str) -> bool | None:
        """Bring a snapshot of the past; return whether that worked, None if interrupted."""
        task = self._past = asyncio.create_task(
            pull(self._transfer, self._history, node, name), name=f"past from {node}"
        )
        try:
            await asyncio.wait({task})
        finally:
            self._past = None
            task.cancel()
            await asyncio.wait({task})
        if task.cancelled():
            return None
        self._tried[node, name] = time.monotonic() + AGAIN
        if error := task.exception():
            known = isinstance(error, SidecarError)
            log.info("cannot complete the history: %s", error, exc_info=None if known else error)
            return False
        log.info("fetched older snapshot %s from %s", name[:12], node)
        return True
