"""Sync: accepts what is written here, and takes over what the peers have accepted.

One pass looks at the folders, accepts what differs from the head if it serves well, and then does
what `core.reconcile` says until there is nothing left to do. Passes never overlap; a file event, a
peer's new head, the schedule and a person all lead to the same pass.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.guard import Rules, guard, is_stock
from sidecar.core.reconcile import Facts, FastForward, Fetch, Join, Plan, join, reconcile
from sidecar.core.snapshot import Snapshot, fingerprint
from sidecar.core.sync import Hold, PeerSync, SyncReport
from sidecar.errors import RefusedError, SidecarError
from sidecar.sync.served import Served
from sidecar.sync.store import History, Rejection
from sidecar.sync.transfer import Transfer
from sidecar.sync.workspace import BusyError, Look, RefusedByServiceError, Workspace

log = logging.getLogger("sync")

BUSY_PAUSE: Final = 0.5
SOAK_STEP: Final = 0.1
RETRY: Final = Backoff(first=5.0, most=300.0, jitter=0.0)
"""Pace at which a peer that cannot be reached and a snapshot that was refused are tried again."""

PRUNE_EVERY: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is written here and not accepted."""

    paths: tuple[str, ...] = ()
    error: str = ""
    hold: Hold | None = None


class Engine:
    """Syncs one node.

    Given: its workspace, the rules, how it pulls, who serves the folders, its own address, the
    seconds of good service that a new configuration needs, how many snapshots are kept, and
    `on_change` for every change of the head.
    """

    def __init__(
        self,
        workspace: Workspace,
        rules: Rules,
        transfer: Transfer,
        served: Served,
        *,
        node: str,
        soak: float,
        keep: int,
        on_change: Callable[[], None],
    ) -> None:
        self._workspace, self._rules = workspace, rules
        self._transfer, self._served = transfer, served
        self._node, self._soak, self._keep = node, soak, keep
        self._on_change = on_change
        self._wake, self._full = asyncio.Event(), True
        self._turn = asyncio.Lock()
        self._fetched: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._retry: dict[str, float] = {}
        self._pruned = time.monotonic()
        self._peers: Mapping[str, str | None] = {}
        self._reports: dict[str, PeerSync] = {}
        self._draft = Draft()
        self._plan = Plan()
        self._refused: tuple[Hold, ...] = ()
        self._failed: tuple[Hold, ...] = ()
        self._duration = 0.0
        self.head = workspace.history.head()
        self.settled = asyncio.Event()
        """Set after a pass that left nothing to do."""

    @property
    def _history(self) -> History:
        return self._workspace.history

    def wake(self, *, full: bool = False) -> None:
        """Make a pass soon; a full one reads every file."""
        self._full = self._full or full
        self.settled.clear()
        self._wake.set()

    def see(self, peers: Mapping[str, str | None]) -> None:
        """Learn the heads of the linked peers; a new one leads to a pass."""
        if peers != self._peers:
            for node in peers.keys() - self._peers.keys():
                self._retry.pop(node, None)
                self._reports.setdefault(node, PeerSync(node=node))
            self._peers = dict(peers)
            self.wake()

    async def run(self) -> None:
        """Make passes whenever there is a reason, until cancelled."""
        try:
            while True:
                self._wake.clear()
                async with self._turn:
                    pause = await self._pass()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
        finally:
            await self._transfer.close()

    async def once(self) -> None:
        """Make a full pass now, for somebody who waits for it; try again what failed."""
        self._full = True
        async with self._turn:
            self._retry.clear()
            await self._forgive()
            await self._pass()

    async def release(self) -> tuple[Hold, ...]:
        """Let pass what the guards hold, for good; return that."""
        holds = (*((self._draft.hold,) if self._draft.hold else ()), *self._plan.holds)
        held = tuple(hold for hold in holds if hold.release)
        async with self._turn:
            state = await asyncio.to_thread(self._history.state)
            released = dict.fromkeys([*state.released, *(hold.release for hold in held)])
            await asyncio.to_thread(
                self._history.set_state, replace(state, released=tuple(released))
            )
        self.wake()
        return held

    async def forecast(self) -> tuple[Look, Plan]:
        """Return what lies in the folders and what a pass would do with the peers."""
        async with self._turn:
            look = await self._workspace.look(full=True)
            facts = await asyncio.to_thread(self._facts, look)
            rules = await asyncio.to_thread(self._present_rules)
        return look, reconcile(facts, rules)

    async def exclusively[T](self, work: Callable[[Look], Awaitable[T]]) -> T:
        """Do something to the folders between two passes, given what lies in them."""
        async with self._turn:
            try:
                result = await work(await self._workspace.look())
            except BusyError:
                raise RefusedError(
                    "cannot do that: the folders are changing at this moment", "try again"
                ) from None
            self._set_head()
        self.wake()
        return result

    def report(self, next_check: float) -> SyncReport:
        """Return how things stand."""
        state = self._history.state()
        drafts = (self._draft.hold,) if self._draft.hold else ()
        return SyncReport(
            paths=self._rules.roots,
            head=self.head,
            draft=self._draft.paths,
            draft_error=self._draft.error,
            rejected={name: rejection.reason for name, rejection in state.rejected.items()},
            holds=(*self._failed, *self._refused, *drafts, *self._plan.holds),
            peers=tuple(
                replace(report, in_sync=self._peers[node] == self.head)
                if node in self._peers
                else replace(report, in_sync=None)
                for node, report in self._reports.items()
            ),
            last_duration=self._duration,
            next_check=next_check,
        )

    async def _pass(self) -> float | None:
        """Do all that can be done now; return the seconds until the next try, None for no need."""
        begun, full, self._full = time.monotonic(), self._full, False
        try:
            look = await self._workspace.look(full=full)
            if full:
                self._duration = time.monotonic() - begun
            await self._accept(look)
            await self._follow()
            await self._prune()
        except BusyError:
            self._full = full
            return BUSY_PAUSE
        except SidecarError as error:
            failed = (Hold(reason="failed", message=error.message, hint=error.hint),)
            if failed != self._failed:
                log.error("%s", error)  # noqa: TRY400 # its text says it all
            self._failed = failed
            return RETRY.first
        self._failed = ()
        self._set_head()
        if not self._wake.is_set():
            self.settled.set()
        return self._until_retry(time.monotonic() - begun)

    async def _accept(self, look: Look) -> None:
        """Make a snapshot of what is written here, if that serves well."""
        self._refused = tuple(
            Hold(reason="refused", message=f"{refusal.path}: {refusal.cause}", hint=refusal.hint)
            for refusal in look.refused
        )
        if look.refused or not look.draft:
            self._draft = Draft()
            return
        if look.head is None and is_stock(look.live, self._rules):
            self._draft = Draft()
            return
        mark = fingerprint(look.live)
        self._draft = Draft(
            paths=tuple(change.path for change in look.draft),
            hold=guard(look.base, look.live, await asyncio.to_thread(self._present_rules)),
        )
        if self._draft.hold:
            return
        if error := await self._serve_well():
            self._draft = replace(self._draft, error=error)
            return
        again = await self._workspace.look()
        if fingerprint(again.live) != mark:
            raise BusyError
        head = await self._workspace.accept(look, self._node, time.time())
        await asyncio.to_thread(self._history.set_head, head)
        self._draft = Draft()
        self._set_head()
        await self._forgive()

    async def _serve_well(self) -> str:
        """Serve what lies in the folders for the time of the soak; return why that did not work."""
        if error := await self._served.try_own():
            return error
        deadline = time.monotonic() + self._soak
        while time.monotonic() < deadline:
            await asyncio.sleep(SOAK_STEP)
            if error := self._served.well():
                return error
        return ""

    async def _follow(self) -> None:
        """Do step after step until there is none; the first failure of a peer ends its turn."""
        while True:
            look = await self._workspace.look()
            if look.refused:
                self._plan = Plan()
                return
            facts = await asyncio.to_thread(self._facts, look)
            self._plan = reconcile(facts, await asyncio.to_thread(self._present_rules))
            match self._plan.step:
                case None:
                    self._note_quiet_peers()
                    return
                case Fetch(node=node, snapshot=snapshot):
                    await self._fetch(node, snapshot)
                case FastForward(snapshot=snapshot):
                    await self._fast_forward(look, snapshot)
                case Join(parents=parents):
                    await asyncio.to_thread(self._join, parents)
            self._set_head()

    def _present_rules(self) -> Rules:
        return replace(self._rules, released=frozenset(self._history.state().released))

    def _facts(self, look: Look) -> Facts:
        now = time.time()
        complete = {
            name: snapshot
            for name in self._fetched.intersection(self._peers.values()) - {look.head}
            if (snapshot := self._history.complete(name)) is not None
        }
        own = {look.head: look.snapshot} if look.head and look.snapshot else {}
        waiting = {node for node, retry in self._retry.items() if retry > time.monotonic()}
        return Facts(
            now=now,
            head=look.head,
            peers={node: head for node, head in self._peers.items() if node not in waiting},
            graph=self._history.graph(),
            snapshots={**complete, **own},
            draft=look.draft,
            rejected={
                name: rejection.retry for name, rejection in self._history.state().rejected.items()
            },
        )

    async def _fetch(self, node: str, name: str) -> None:
        peer = ip_address(node)
        try:
            await self._transfer.fetch_manifests(peer, {name})
            if await asyncio.to_thread(lambda: self._history.graph().unknown(name)):
                await self._transfer.fetch_manifests(peer)
            snapshot = await asyncio.to_thread(self._history.get, name)
            missing = await asyncio.to_thread(self._history.missing, snapshot)
            await self._transfer.fetch_objects(peer, missing)
        except SidecarError as error:
            self._count(node, "failure", error)
            self._failures[node] += 1
            self._retry[node] = time.monotonic() + RETRY.delay(self._failures[node] + 1, 0.0)
            log.warning("%s", error)
            return
        self._failures.pop(node, None)
        self._fetched = {*self._fetched.intersection(self._peers.values()), name}
        self._count(node, "success")

    async def _fast_forward(self, look: Look, name: str) -> None:
        snapshot = await asyncio.to_thread(self._history.get, name)
        try:
            if (path := self._workspace.left_out(snapshot.tree)) is not None:
                raise RefusedByServiceError(
                    f"{path} is left out on this node: set HA_SYNC_EXCLUDE alike on every node"
                )
            await self._workspace.apply(look, snapshot.tree, name, self._served)
        except SidecarError as error:  # at once it would fail again, and wake the watch each time
            reason = "; ".join(filter(None, (error.message, error.hint)))
            await asyncio.to_thread(self._reject, name, reason)
            log.error("snapshot %s is refused here: %s", name[:12], reason)  # noqa: TRY400
            return
        log.info("took over %s from %s: %s", name[:12], snapshot.node, snapshot.summary)
        self._draft = Draft()
        await self._forgive()

    def _join(self, parents: tuple[str, ...]) -> None:
        united: Snapshot = join({name: self._history.get(name) for name in parents})
        self._history.set_head(self._history.add(united))

    def _reject(self, name: str, reason: str) -> None:
        state = self._history.state()
        before = state.rejected.get(name)
        failures = before.failures + 1 if before else 1
        retry = time.time() + RETRY.delay(failures + 1, 0.0)
        rejected = {
            **state.rejected,
            name: Rejection(reason=reason, failures=failures, retry=retry),
        }
        self._history.set_state(replace(state, rejected=rejected))

    async def _forgive(self) -> None:
        """Forget what was refused: the folders are others now."""
        state = await asyncio.to_thread(self._history.state)
        if state.rejected:
            await asyncio.to_thread(self._history.set_state, replace(state, rejected={}))

    def _until_retry(self, took: float) -> float | None:
        """Return the seconds until something that failed is tried again.

        What was due before the pass that `took` so long has had its turn, or nobody has it now.
        """
        now, wall = time.monotonic(), time.time()
        waits = [retry - now for node, retry in self._retry.items() if node in self._peers]
        waits += [one.retry - wall for one in self._history.state().rejected.values()]
        waits += [RETRY.first] if self._draft.error else []
        return max(0.1, min(waits)) if (waits := [wait for wait in waits if wait > -took]) else None

    def _note_quiet_peers(self) -> None:
        for node, head in self._peers.items():
            if head == self.head:
                self._count(node, "nothing")

    def _count(self, node: str, result: str, error: SidecarError | None = None) -> None:
        before = self._reports.get(node, PeerSync(node=node))
        runs = Counter(before.runs)
        runs[result] += 1
        self._reports[node] = replace(
            before,
            runs=dict(runs),
            error=error.message if error else "",
            hint=error.hint if error else "",
            last_success=before.last_success if error else time.time(),
        )

    def _set_head(self) -> None:
        head = self._history.head()
        if head != self.head:
            log.info("head is %s", head[:12] if head else "gone")
            self.head = head
            self._on_change()

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned < PRUNE_EVERY:
            return
        self._pruned = time.monotonic()
        heads = [head for head in (self.head, *self._peers.values()) if head]
        graph = await asyncio.to_thread(self._history.graph)
        kept = graph.keep([head for head in heads if head in graph.parents], self._keep)
        await asyncio.to_thread(self._history.prune, kept)
