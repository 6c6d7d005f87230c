"""Sync as the daemon sees it: one part that may fail without harm to what is served."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from sidecar.core.history.exclude import DEFAULT_EXCLUDE
from sidecar.core.history.guard import Rules
from sidecar.core.history.snapshot import Tree
from sidecar.core.report import PeerReport
from sidecar.core.settings import Identity, Settings
from sidecar.core.sync_report import Hold, SyncReport
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.paths import Paths
from sidecar.host.watch import changes
from sidecar.host.worker import Worker
from sidecar.programs import rsync
from sidecar.sync.desk import Desk
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.orders import Orders
from sidecar.sync.passes import Passes
from sidecar.sync.ports import Ports
from sidecar.sync.pulls import Pulls
from sidecar.sync.schedule import Schedule
from sidecar.sync.served import Served
from sidecar.sync.transfer import Transfer
from sidecar.sync.verify import DAILY, Verifier
from sidecar.sync.workspace import BusyError, Workspace

log = logging.getLogger("sync")


class Sync:
    """All of sync on one node.

    Given: who serves the folders, and `on_change` for every change of the head.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        paths: Paths,
        served: Served,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._settings, self._identity, self._paths = settings, identity, paths
        self._served, self._on_change = served, on_change
        self._worker = Worker("sync")
        self._passes: Passes | None = None
        self._desk: Desk | None = None
        self._schedule: Schedule | None = None
        self._daily: Schedule | None = None
        self._broken: Hold | None = None
        self._heads: dict[str, str | None] = {}

    @property
    def head(self) -> str | None:
        """Id of the snapshot that is live here, as far as the peers are told."""
        return self._passes.engine.offered if self._passes else None

    @property
    def desk(self) -> Desk:
        """What a person may ask; raise RefusedError while sync does not work."""
        if self._desk is None:
            raise RefusedError(f"cannot sync: {self._off.message}", self._off.hint)
        return self._desk

    @property
    def watched(self) -> bool:
        """Changes of the folders are noticed here."""
        return self._passes is not None

    def had(self, path: Path) -> bool:
        """Tell whether the newest snapshot here has that path: then it is not to be made anew."""
        return self._passes is not None and str(path) in self._passes.engine.tree

    async def open(self) -> None:
        """End an apply that was interrupted, before anything serves the folders.

        It never raises, whatever is wrong with the state: then sync is off, and `run` tries again.
        """
        await self._try_open(recover=True)

    async def run(self) -> None:
        """Sync until cancelled; while the history cannot be used, try again at a pace."""
        passes = await self._opened()
        async with asyncio.TaskGroup() as group:
            group.create_task(passes.run(), name="sync passes")
            group.create_task(self._watch(passes), name="sync watch")
            if self._schedule is not None:
                group.create_task(self._keep_schedule(passes), name="sync schedule")
                group.create_task(self._verify_daily(), name="sync verify")

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        """Do `work` while sync changes nothing in the folders.

        It is given the hold that forbids to load them, if any, and their tree, if it is consistent.
        """
        if self._passes is None:
            return await work(None, None)
        return await self._passes.between(work)

    async def put_back(self, error: str | None = None) -> bool:
        """Restore the last good state over what a guard holds, or nginx refuses with `error`.

        What it replaces is kept. Return whether anything was restored.
        """
        # Nothing of ours keeps nginx from starting.
        try:
            return self._passes is not None and await self._passes.put_back(error)
        except (BusyError, SidecarError, OSError) as failure:
            log.error("cannot put the last good state back: %s", failure)  # noqa: TRY400
            return False

    def see(self, peers: Iterable[PeerReport]) -> None:
        """Learn what the links show."""
        self._heads = {peer.node: peer.state.head for peer in peers if peer.linked and peer.state}
        if self._passes is not None:
            self._passes.see(self._heads)

    async def wait_settled(self, timeout: float) -> None:
        """Wait until this node has what its linked peers have, or `timeout` seconds."""
        if self._passes is None:
            return
        if not self._passes.settled.is_set():
            log.info("waiting up to %g s for the configuration of the other nodes", timeout)
        try:
            async with asyncio.timeout(timeout):
                await self._passes.settled.wait()
        except TimeoutError:
            log.warning("still not in sync after %g s: starting all the same", timeout)

    def report(self) -> SyncReport:
        """Return how things stand."""
        if self._passes is None:
            return SyncReport(paths=self._settings.sync_paths, holds=(self._off,))
        return self._passes.engine.report(self._schedule.next if self._schedule else 0.0)

    @property
    def _off(self) -> Hold:
        return self._broken or Hold(reason="off", message="this node is starting")

    async def _opened(self) -> Passes:
        failures = 0
        while self._passes is None:
            failures += 1
            await asyncio.sleep(RETRY.delay(failures))
            await self._try_open(recover=False)  # nginx serves: the first pass does it with care
        return self._passes

    async def _try_open(self, *, recover: bool) -> None:
        try:
            await self._worker.do(partial(self._open, recover=recover))
        except (SidecarError, OSError) as error:
            self._break(str(getattr(error, "message", error)), getattr(error, "hint", ""))
        except Exception as error:  # the start of a node: no state of ours may end that
            log.exception("sync cannot be opened; serving is not affected")
            self._break(f"cannot open the history: {error!r}", "see the log")
        else:
            if self._passes is not None:
                self._passes.see(self._heads)
            self._on_change()

    def _break(self, message: str, hint: str) -> None:
        broken = Hold(reason="off", message=message, hint=hint or "it is tried again")
        if broken != self._broken:
            log.error("sync is off: %s; %s", broken.message, broken.hint)
        self._broken = broken

    def _open(self, *, recover: bool) -> None:
        """Set everything up; raise SidecarError or OSError. Runs in the worker."""
        settings, node = self._settings, str(self._identity.node)
        exclude = (*DEFAULT_EXCLUDE, *settings.sync_exclude)
        workspace = Workspace(settings.sync_paths, exclude, self._paths.state)
        if recover:
            try:
                workspace.recover()
            except (SidecarError, BusyError) as error:  # each pass tries it again, and shows it
                log.error("%s", error)  # noqa: TRY400 # its text says it all
        rsync.install(self._paths, workspace.history.directory)
        port = settings.link_port
        transfer = Transfer(self._paths, self._identity, port=port, history=workspace.history)
        pulls = Pulls(transfer, workspace.history, RETRY)
        ports = Ports(self._worker, self._served, pulls, self._on_change)
        soak, keep = settings.sync_soak, settings.sync_keep
        engine = Engine(workspace, self._rules(), ports, node=node, soak=soak, keep=keep)
        if settings.sync_schedule is not None:
            share = self._identity.index / len(settings.nodes)
            memory = self._paths.state / "schedule.json"
            zone = ZoneInfo(settings.timezone)
            self._schedule = Schedule(settings.sync_schedule, zone, memory, share)
            self._daily = Schedule(DAILY, zone, self._paths.state / "verify.json", share)
        passes = Passes(engine, self._worker, pulls, self._served.well)
        orders = Orders(engine, workspace, ports, node)
        verifier = Verifier(workspace.history, engine, self._worker, pulls)
        self._desk = Desk(orders, self._worker, passes, pulls, verifier)
        self._passes = passes

    def _rules(self) -> Rules:
        main = str(self._paths.nginx / "nginx.conf")
        return Rules(
            roots=self._settings.sync_paths,
            needed=frozenset({main} if self._settings.nginx else ()),
            stock=stock_digests(self._paths.config / "stock.sha256"),
        )

    async def _watch(self, passes: Passes) -> None:
        folders = map(Path, self._settings.sync_paths)
        async for _ in changes(*folders, whole_at=passes.expect_whole):
            if self._settings.sync_on_change:
                passes.wake()
            else:
                await passes.load()

    async def _keep_schedule(self, passes: Passes) -> None:
        assert self._schedule is not None
        async for _ in self._schedule.runs():
            passes.wake(full=True)

    async def _verify_daily(self) -> None:
        """Look for what the disk has damaged while another node still has it."""
        assert self._daily is not None
        async for _ in self._daily.runs():
            try:
                log.info("%s", await self.desk.verify(gently=True))
            except (SidecarError, OSError) as error:
                log.error("the history is damaged: %s", error)  # noqa: TRY400 - its text says it all


def stock_digests(listing: Path) -> frozenset[str]:
    """Return the digests of all files that any release brought (lines of sha256sum(1))."""
    return frozenset(line.split()[0] for line in listing.read_text().splitlines() if line)
