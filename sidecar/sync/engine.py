"""Sync: accepts what is written here, and takes over what the peers have accepted.

One pass looks at the folders, accepts what differs from the head if it serves well, and then does
what `core.reconcile` says until there is nothing left to do. Passes never overlap; a file event, a
peer's new head, the schedule and a person all lead to the same pass.

What takes its time holds no pass, and so no edit and no command: pulls run beside them, at most one
from each peer, and a pass only uses what is here whole; what is on trial is looked at in between.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.change import printable, summarise
from sidecar.core.guard import Rules
from sidecar.core.reconcile import Facts, FastForward, Fetch, Join, Plan, join, reconcile
from sidecar.core.retention import newest_first, retained
from sidecar.core.snapshot import Tree
from sidecar.core.sync import Hold, SyncReport
from sidecar.errors import RefusedError, SidecarError
from sidecar.sync.decisions import Aside, Decisions
from sidecar.sync.drafts import SOAK_STEP, Drafts
from sidecar.sync.mend import Mender
from sidecar.sync.peers import Peers
from sidecar.sync.pulls import Pulls
from sidecar.sync.served import Served
from sidecar.sync.store import History
from sidecar.sync.transfer import Transfer
from sidecar.sync.workspace import BusyError, Look, RefusedByServiceError, Workspace

log = logging.getLogger("sync")

BUSY_PAUSE: Final = 0.5
BUSY_TRIES: Final = 10
BUSY_SHOWN: Final = 10.0
"""Seconds without a look at rest after which somebody has to know."""

RETRY: Final = Backoff(first=5.0, most=300.0, jitter=0.0)
"""Pace at which all that failed is tried again: a peer, a snapshot, a draft."""

PRUNE_EVERY: Final = 600.0

FILL_EVERY: Final = 5.0
"""Seconds between two looks at what is missing of the past."""


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
        self._served = served
        self._node, self._keep = node, keep
        self._on_change = on_change
        self._wake, self._full = asyncio.Event(), True
        self._turn = asyncio.Lock()
        self._pruned = time.monotonic()
        self._peers = Peers(RETRY)
        self._pulls = Pulls(transfer, workspace.history, self._peers, self._wake)
        self._decisions = Decisions(workspace.history.directory, RETRY)
        self._drafts = Drafts(
            workspace, rules, served, self._decisions, node=node, soak=soak, pace=RETRY
        )
        self._plan = Plan()
        self._stuck: tuple[Hold, ...] = ()
        self._busy_since: float | None = None
        self._duration = 0.0
        self._mender = Mender(workspace, transfer, rules)
        self.head = None if workspace.head_is_lost else workspace.history.head()
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

    def see(self, heads: Mapping[str, str | None]) -> None:
        """Learn the heads of the linked peers; a new one leads to a pass."""
        if self._peers.see(heads):
            self.wake()

    def had(self, path: str) -> bool:
        """Tell whether the head has that path."""
        return self.head is not None and path in self._history.get(self.head).tree

    async def run(self) -> None:
        """Make passes whenever there is a reason, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_passes(), name="sync passes")
                group.create_task(self._fill(), name="sync past")
        finally:
            await self._pulls.close()

    async def _make_passes(self) -> None:
        while True:
            self._wake.clear()
            async with self._turn:
                try:
                    pause = await self._pass()
                except BusyError as error:
                    pause = BUSY_PAUSE
                    self._note_busy(error.path)
                    with suppress(SidecarError):  # the next pass that is whole says it
                        await self._drafts.load_unsettled()
            await self._rest(pause)

    async def _rest(self, pause: float | None) -> None:
        """Wait for a reason for the next pass, at most `pause` seconds."""
        end = time.monotonic() + pause if pause is not None else math.inf
        while (left := end - time.monotonic()) > 0 and self._drafts.serves_well():
            step = SOAK_STEP if self._drafts.on_trial else math.inf
            with suppress(TimeoutError):
                async with asyncio.timeout(min(step, left)):
                    await self._wake.wait()
                    return

    async def once(self) -> None:
        """Make a pass now, for somebody who waits for it and its pulls; try again what failed."""
        async with self._turn:
            self._peers.forgive()
            self._drafts.forgive()
            await asyncio.to_thread(self._decisions.forgive)
        coming, begun = self._pulls.of_heads, self._pulls.begun
        await self._pass_now()
        if coming or self._pulls.begun != begun:  # though it may have ended during the pass
            await self._pulls.wait()
            await self._pass_now()

    async def _pass_now(self) -> None:
        async with self._turn:
            for _ in range(BUSY_TRIES):
                try:
                    retry = await self._pass()
                except BusyError:
                    await asyncio.sleep(BUSY_PAUSE)
                else:
                    break
            else:
                self.wake()
                raise _busy("cannot sync")
        if retry is not None:  # `run` may be asleep until somebody edits
            self.wake()

    async def load(self) -> None:
        """Let what lies in the folders be served, without accepting it."""
        async with self._turn:
            look = await self._glance()
            await (self._drafts.load(look) if look else self._drafts.load_unsettled())

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        """Do something while nobody changes the folders.

        It is given what a guard says against loading them, and what lies there, if that is whole.
        """
        async with self._turn:
            look = await self._glance()
            if look is None:
                return await work(await self._drafts.guard_unsettled(), None)
            return await work(self._drafts.guard(look), look.live)

    async def put_back(self, error: str) -> bool:
        """Put the head in place of what a guard holds, or what is refused with an `error`.

        What lay there becomes a snapshot that nobody is told of. Return whether there was anything
        to do.
        """
        base, remains = await self._workspace.remains()
        if not error and remains == base:
            return False
        async with self._turn:
            look = await self._glance()
            if look is None or look.head is None:
                return False
            hold = self._drafts.guard(look)
            if hold is None and error and look.draft:
                hold = Hold(reason="refused-at-start", message=error)
            if hold is None:
                return False
            try:
                return await self._set_aside(look, hold)
            except (BusyError, SidecarError) as failure:
                log.error("cannot put the last good state back: %s", failure)  # noqa: TRY400
                return False

    async def drop_aside(self) -> None:
        """Forget what starts have set aside: a person has chosen a state."""
        await asyncio.to_thread(self._decisions.drop_aside)

    @property
    def aside(self) -> tuple[Aside, ...]:
        """What starts have set aside, the newest last."""
        return self._decisions.state.aside

    async def _glance(self) -> Look | None:
        """Return what lies in the folders; None if that is not whole, or cannot be synced."""
        try:
            look = await self._workspace.look()
        except BusyError:
            return None
        return None if look.refused else look

    async def _set_aside(self, look: Look, hold: Hold) -> bool:
        if self._workspace.on_disk(look.base) == look.live:
            return False
        summary = f"set aside ({hold.reason}): {summarise(look.draft, self._rules.roots)}"
        kept = await self._workspace.keep(look, self._node, time.time(), summary)
        assert kept.head is not None
        await self._workspace.put_back(look)
        aside = Aside(snapshot=kept.head, reason=hold.reason, message=hold.message)
        await asyncio.to_thread(self._decisions.set_aside, aside)
        self._drafts.clear()
        log.warning("%s; %s", aside.hold.message, aside.hold.hint)
        self.wake()
        return True

    async def release(self) -> Hold | None:
        """Let pass what a guard holds; return that."""
        async with self._turn:
            held = self._drafts.held
            if held is not None and held.release:
                await asyncio.to_thread(self._decisions.release, held.release)
        self.wake()
        return held if held is not None and held.release else None

    async def bring(self, name: str) -> None:
        """Make a snapshot whole that is not; raise RefusedError if no linked peer has it whole."""
        await self._pulls.bring(name)

    async def forecast(self) -> tuple[Look, Plan]:
        """Return what lies in the folders and what a pass would do with the peers."""
        async with self._turn:
            try:
                look = await self._workspace.look()
            except BusyError:
                raise _busy("cannot look") from None
            return look, await asyncio.to_thread(self._make_plan, look)

    async def exclusively[T](self, work: Callable[[Look], Awaitable[T]]) -> T:
        """Do something to the folders between two passes, given what lies in them."""
        async with self._turn:
            try:
                await self._recover()
                await self._mender.mend(self._peers.heads, full=False)
                result = await work(await self._workspace.look())
            except BusyError:
                raise _busy("cannot do that") from None
            finally:
                self.wake()
            await asyncio.to_thread(self._decisions.forget)
            self._set_head()
        return result

    def report(self, next_check: float) -> SyncReport:
        """Return how things stand."""
        rejected = self._decisions.state.rejected
        return SyncReport(
            paths=self._rules.roots,
            head=self.head,
            draft=self._drafts.paths,
            draft_error=self._drafts.error,
            rejected={name: rejection.reason for name, rejection in rejected.items()},
            holds=(
                *self._stuck,
                *self._drafts.holds,
                *(one.hold for one in self.aside),
                *self._plan.holds,
            ),
            peers=self._peers.report(self.head),
            last_duration=self._duration,
            next_check=next_check,
        )

    async def _pass(self) -> float | None:
        """Do all that can be done now; return the seconds until the next try, None for no need.

        Raise BusyError if the folders change meanwhile.
        """
        begun = time.monotonic()
        try:
            await self._recover()
            await self._mender.mend(self._peers.heads, full=self._full)
            await self._follow(await self._accept(await self._look()))
            await self._prune()
        except SidecarError as error:
            self._note_stuck(Hold(reason="failed", message=error.message, hint=error.hint))
            return RETRY.first
        self._stuck, self._busy_since = (), None
        self._set_head()
        if not (self._wake.is_set() or self._pulls.of_heads or self._drafts.on_trial):
            self.settled.set()
        return self._until_retry(time.monotonic() - begun)

    async def _recover(self) -> None:
        """End an apply that failed on its way to an end, e.g. since a disk was full."""
        if await asyncio.to_thread(self._workspace.recover):
            await self._served.try_peers(None)
        if self._history.head() != self.head:
            await asyncio.to_thread(self._decisions.forget)
            self._set_head()

    async def _look(self) -> Look:
        """Look at the folders, at every byte if that is due."""
        begun, full = time.monotonic(), self._full
        look = await self._workspace.look(full=full)
        if full:
            self._full, self._duration = False, time.monotonic() - begun
        return look

    async def _accept(self, look: Look) -> Look:
        """Make a snapshot of what is written here, if that serves well; return what is then."""
        accepted = await self._drafts.accept(look)
        if accepted is not look:
            self._set_head()
            await asyncio.to_thread(self._decisions.forget)
        elif look.refused:
            await self._drafts.load_unsettled()
        elif not self._drafts.paths:
            await self._served.ensure(look.live)
            if not look.draft:
                await asyncio.to_thread(self._decisions.withdraw)
        return accepted

    async def _follow(self, look: Look) -> None:
        """Do step after step until there is none that can be done at once.

        What is on trial has to end first; only pulls begin meanwhile.
        """
        while not look.refused and (look.snapshot or look.head is None):
            self._plan = await asyncio.to_thread(self._make_plan, look)
            match self._plan.step:
                case Fetch(node=node, snapshot=snapshot):
                    self.settled.clear()
                    self._pulls.begin(node, snapshot)
                    continue
                case _ if self._drafts.on_trial:
                    break
                case None:
                    self._peers.count_equal(self.head)
                    return
                case FastForward(snapshot=snapshot):
                    await self._fast_forward(look, snapshot)
                case Join(parents=parents):
                    await asyncio.to_thread(self._join, parents)
            self._set_head()
            look = await self._workspace.look()
        self._plan = Plan()

    def _make_plan(self, look: Look) -> Plan:
        graph = self._history.graph()
        past = graph.ancestors(look.head) if look.head else frozenset[str]()
        complete = {
            name: snapshot
            for name in self._peers.fetched - past - {look.head}
            if (snapshot := self._history.complete(name)) is not None
        }
        own = {look.head: look.snapshot} if look.head and look.snapshot else {}
        facts = Facts(
            now=time.time(),
            head=look.head,
            peers=self._peers.willing(self._pulls.of_heads),
            graph=graph,
            snapshots={**complete, **own},
            draft=look.draft,
            rejected=self._decisions.retries(time.time()),
        )
        return reconcile(facts, self._rules)

    async def _fill(self) -> None:
        """Bring what is missing of the past while there is nothing else to do."""
        while True:
            await self.settled.wait()
            try:
                await self._pulls.fill(await asyncio.to_thread(self._kept))
            except (SidecarError, OSError) as error:
                log.warning("cannot look for what is missing of the past: %s", error)
            await asyncio.sleep(FILL_EVERY)

    async def _fast_forward(self, look: Look, name: str) -> None:
        snapshot = await asyncio.to_thread(self._history.get, name)
        try:
            if (path := self._workspace.left_out(snapshot.tree)) is not None:
                raise RefusedByServiceError(
                    f"{path} is left out on this node: set HA_SYNC_EXCLUDE alike on every node"
                )
            await self._workspace.apply(look, snapshot, name, self._served)
        except SidecarError as error:  # at once it would fail again, and wake the watch each time
            await asyncio.to_thread(self._decisions.reject, name, error.line, time.time())
            log.error("snapshot %s is refused here: %s", name[:12], error.line)  # noqa: TRY400
            return
        log.info("took over %s from %s: %s", name[:12], snapshot.node, snapshot.summary)
        self._drafts.clear()
        await asyncio.to_thread(self._decisions.forget)

    def _join(self, parents: tuple[str, ...]) -> None:
        united = join({name: self._history.get(name) for name in parents})
        self._history.set_head(self._history.add(united))

    def _until_retry(self, took: float) -> float | None:
        """Return the seconds until something that failed is tried again.

        What was due before the pass that `took` so long has had its turn, or nobody has it now.
        """
        now = time.time()
        waits = [*self._peers.waits(), *self._drafts.waits()]
        waits += [retry - now for retry in self._decisions.retries(now).values()]
        return max(0.1, min(waits)) if (waits := [wait for wait in waits if wait > -took]) else None

    def _set_head(self) -> None:
        head = self._history.head()
        if head != self.head:
            log.info("head is %s", head[:12] if head else "gone")
            self.head = head
            self._on_change()

    def _note_busy(self, path: str) -> None:
        """Say so where the folders never rest, e.g. since a log is written there."""
        now = time.monotonic()
        self._busy_since = self._busy_since or now
        if now - self._busy_since < BUSY_SHOWN:
            return
        root = next((one for one in self._rules.roots if path.startswith(f"{one}/")), path)
        relative = printable(path.removeprefix(root))
        leave_out = f", or leave it out: HA_SYNC_EXCLUDE={relative}" if relative else ""
        message = f"{printable(path)} changes all the time: no state of the folders can be kept"
        hint = f"keep what changes all the time in another place{leave_out}"
        self._note_stuck(Hold(reason="busy", message=message, hint=hint))

    def _note_stuck(self, hold: Hold) -> None:
        if (hold,) != self._stuck:
            log.error("%s; %s", hold.message, hold.hint)
        self._stuck = (hold,)

    async def _prune(self) -> None:
        if time.monotonic() - self._pruned < PRUNE_EVERY:
            return
        self._pruned = time.monotonic()
        self._pulls.doubt()
        await asyncio.to_thread(lambda: self._history.prune(self._kept()))

    def _kept(self) -> list[str]:
        """Return the snapshots that are kept with their files, newest first."""
        aside = (one.snapshot for one in self.aside)
        heads = [head for head in (self.head, *self._peers.heads.values(), *aside) if head]
        headers = self._history.headers()
        kept = retained(headers, heads, self._keep)
        lost = {parent for one in kept for parent in headers[one].parents} - headers.keys()
        return [one for one in newest_first(headers) if one in kept] + sorted(lost)


def _busy(what: str) -> RefusedError:
    return RefusedError(f"{what}: the folders are changing at this moment", "try again")
