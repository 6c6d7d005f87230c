"""This node: gathers the facts, lets the core decide, tells keepalived and the peers."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sidecar import __version__
from sidecar.core.protocol import settings_digest
from sidecar.core.report import (
    ContainersReport,
    LoopReport,
    NginxReport,
    NodeState,
    PeerReport,
    ProcessReport,
    Report,
    Role,
)
from sidecar.core.settings import Identity, Settings
from sidecar.core.show.problems import find
from sidecar.core.sync_report import SyncReport
from sidecar.core.vip.arbiter import Arbiter
from sidecar.core.vip.election import Facts, Patience, Succession, Verdict, base_priority, elect
from sidecar.errors import SidecarError
from sidecar.host import files
from sidecar.host.adverts import hears_advert
from sidecar.host.broadcast import Broadcast
from sidecar.host.capabilities import remapped
from sidecar.host.paths import Paths
from sidecar.vital.health import Health
from sidecar.vital.nginx import Nginx
from sidecar.vital.vip import Vips
from sidecar.vital.vrrp import Vrrp

log = logging.getLogger("node")

TICK: Final = 0.5
"""Seconds between two decisions when nothing happens."""

SETTLED_AFTER: Final = 1.5
"""Seconds after a change of role in which the addresses may still be on their way."""

VIP_LOST_FOR: Final = 10.0
"""Seconds that a MASTER without its address stays out, lest it tries again at once."""


class Node:
    """The one place where facts become a verdict.

    Given: the parts of the vital scope, `peers` for what the links show, `head` for the id of the
    snapshot that is live here.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        paths: Paths,
        changes: Broadcast,
        *,
        vrrp: Vrrp,
        vips: Vips,
        health: Health,
        nginx: Nginx | None,
        peers: Callable[[], tuple[PeerReport, ...]],
        head: Callable[[], str | None],
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._drain_flag = paths.state / "drain"
        self._vrrp, self._vips, self._health, self._nginx = vrrp, vips, health, nginx
        self._peers, self._head, self.changes = peers, head, changes
        self._started = time.time()
        self._arbiter = Arbiter()
        self._patience = Patience()
        self._succession = Succession()
        self._stepped_aside = asyncio.Event()
        self._adverts_heard = False
        self._vip_lost_since: float | None = None
        self._digest = settings_digest(settings)
        self._remapped = remapped()
        self.verdict = Verdict(health=0, preference=0)
        self.handing_over = False
        """True while `ha failover` moves the VIP."""
        self.draining = False
        self._draining_turn = asyncio.Lock()

    @property
    def role(self) -> Role:
        """What this node is to everybody else."""
        return self._vrrp.role

    async def open(self) -> None:
        """Learn whether this node was drained before: the disk may be slow to answer."""
        self.draining = await asyncio.to_thread(self._drain_flag.exists)

    async def set_draining(self, draining: bool) -> None:
        """Start or end a drain; it survives a new container. Raise SidecarError if it could not."""
        async with self._draining_turn:
            await asyncio.to_thread(self._remember_draining, draining)
            self.draining = draining
        self.decide()

    async def run(self) -> None:
        """Decide whenever something changes, and at every tick."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(), name="adverts")
            group.create_task(self._vrrp.guard(), name="guard")
            while True:
                version = self.changes.version
                self.decide()
                self._vrrp.beat()
                self._vrrp.aim(self._nginx.target if self._nginx else "")
                await self.changes.wait_after(version, within=TICK)

    def decide(self) -> None:
        """Read all facts, decide, tell keepalived what differs."""
        now = time.monotonic()
        self._watch_vip(now)
        linked = self.linked()
        self._arbiter = self._arbiter.after(
            now,
            index=self._identity.index,
            role=self.role,
            masters=[
                self._index(peer) for peer in linked if peer.role is Role.MASTER and peer.vips
            ],
            adverts_heard=self._adverts_heard,
        )
        if self._arbiter.aside:
            self._stepped_aside.set()
        self._succession = self._succession.after(
            self._vrrp.state,
            [peer.node for peer in self._peers() if peer.state and peer.state.role is Role.MASTER],
        )
        facts = Facts(
            role=self._vrrp.state,
            hard=self._hard(),
            # What fails everywhere must move nothing, so a peer gets the time to notice it too.
            soft=self._health.failing(hard=False, lasting=self._health.concurrence),
            draining=self.draining or self.handing_over,
            aside=self._arbiter.aside,
            spurned=self._patience.spurned(now),
            succeeds=bool(self._succession.unaware),
        )
        verdict = elect(facts, linked)
        self._patience = self._patience.after(now, yielding=verdict.yielding)
        self._vrrp.tell(verdict)
        if verdict.why != self.verdict.why:
            log.warning("%s", verdict.why or "nothing is wrong with this node")
        self.verdict = verdict

    def linked(self) -> list[NodeState]:
        """Return the latest states of the peers whose link is alive."""
        return [peer.state for peer in self._peers() if peer.linked and peer.state is not None]

    def state(self) -> NodeState:
        """Return what this node says of itself to its peers."""
        hard = self._hard()
        able = self.role in (Role.MASTER, Role.BACKUP)
        return NodeState(
            node=str(self._identity.node),
            version=__version__,
            role=self.role,
            vips=self._vips.held,
            eligible=able and not hard and not self._arbiter.aside,
            hard=hard,
            soft=self._health.failing(hard=False),
            draining=self.draining,
            yielding=self.verdict.yielding,
            settings=self._digest,
            containers=self._settings.containers,
            head=self._head(),
            clock=time.time(),
        )

    def report(
        self,
        other_processes: Sequence[ProcessReport],
        nginx: NginxReport,
        sync: SyncReport,
        containers: ContainersReport | None,
        part_failures: Mapping[str, int],
        loop: LoopReport,
    ) -> Report:
        """Return everything known of this node, with what the daemon knows of its other parts."""
        supervisors = [self._vrrp.supervisor, *([self._nginx.supervisor] if self._nginx else [])]
        own_processes = [supervisor.report() for supervisor in supervisors]
        report = Report(
            node=self.state(),
            started=self._started,
            priority=base_priority(self._identity.index),
            why=self.verdict.why,
            split_brain=self._arbiter.split(time.monotonic()),
            peers=self._peers(),
            vips=self._vips.report(),
            processes=(*own_processes, *other_processes),
            checks=self._health.report(),
            vrrp=self._vrrp.counters,
            nginx=nginx,
            sync=sync,
            containers=containers,
            role_changes=dict(self._vrrp.role_changes),
            part_failures=dict(part_failures),
            loop=loop,
        )
        settling = time.monotonic() - self._vrrp.since < SETTLED_AFTER
        return replace(report, problems=find(report, settling=settling, remapped=self._remapped))

    def _remember_draining(self, draining: bool) -> None:
        try:
            if draining:
                files.write(self._drain_flag, "", durable=True)
            else:
                files.remove(self._drain_flag, durable=True)
        except OSError as error:
            raise SidecarError(
                f"cannot {'drain' if draining else 'resume'}: "
                f"{self._drain_flag}: {error.strerror or error}",
                "the flag is on the volume of /var/lib/ha, which must be writable",
            ) from error

    def _hard(self) -> tuple[str, ...]:
        failing = dict.fromkeys(self._health.failing(hard=True))
        if self._nginx is not None and self._nginx.down:
            failing["nginx"] = None
        if self._vip_lost_since is not None:
            failing["vip"] = None
        return tuple(failing)

    def _watch_vip(self, now: float) -> None:
        """Notice a MASTER whose address is not on the NIC: it cannot serve."""
        if self._vips.missing and self._vip_lost_since is None:
            self._vip_lost_since = now
        if self._vip_lost_since is None:
            return
        lost_for = now - self._vip_lost_since
        if not self._vips.missing and lost_for > VIP_LOST_FOR:
            self._vip_lost_since = None

    def _index(self, peer: NodeState) -> int:
        return [str(node) for node in self._settings.nodes].index(peer.node)

    async def _listen(self) -> None:
        """While stepped aside, hear whether the adverts of the nodes that serve arrive again."""
        while True:
            await self._stepped_aside.wait()
            while self._arbiter.aside:
                try:
                    self._adverts_heard = await hears_advert(
                        self._identity.peers, self._settings.vrid, within=1.0
                    )
                except OSError:  # no descriptor is left: not heard, and listened for again
                    await asyncio.sleep(TICK)
            self._stepped_aside.clear()
            self._adverts_heard = False
