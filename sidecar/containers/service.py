"""Makes one set of sites of the containers found here and those of the peers.

discovery ─► routes ─┬─► offered to the peers
peers' offers ───────┴─► merged, with what nginx has of its own ─► settled ─► serving
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sidecar.containers.discovery import Discovery
from sidecar.containers.surroundings import surroundings
from sidecar.core.containers.container import Container, Surroundings
from sidecar.core.containers.fleet import Lasting, PeerOffers, Taken, merge
from sidecar.core.containers.plan import Fleet, Relays
from sidecar.core.containers.report import report
from sidecar.core.containers.site import Offer, offers, routes
from sidecar.core.report import ContainersReport
from sidecar.core.settings import Identity, Settings
from sidecar.host.broadcast import Broadcast
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs.nginx import relay

if TYPE_CHECKING:
    from sidecar.containers.engine import Engine

log = logging.getLogger("containers")

SETTLED_AFTER: Final = 0.3
"""Seconds of rest after which a change is handed over: several come as one."""

AT_LATEST: Final = 1.0
"""Seconds after which it is handed over even if there was no rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the sites are made of."""

    containers: tuple[Container, ...] | None
    around: Surroundings
    peers: tuple[PeerOffers, ...]
    taken: Taken


class Served(Protocol):
    """What has become of the sites in nginx."""

    @property
    def certificates(self) -> Mapping[str, str]:
        """The directory of the certificate of each host."""

    @property
    def ignored(self) -> frozenset[str]:
        """What containers ask of nginx and do not get, and why."""

    @property
    def error(self) -> str:
        """Why nginx refuses the file with the sites; empty if it does not."""


class Containers:
    """Makes sites of containers.

    Given: the settings, who we are, where things lie, the network of this host, and functions.
    `peers` returns what the peers offer, `taken` which hosts are served by other means, `served`
    what has become of the sites in nginx, `shown` which of two secrets the peers are shown. `tell`
    is called with this node's offers, and `changed` whenever `fleet` is another one.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        paths: Paths,
        network: Network,
        changes: Broadcast,
        *,
        peers: Callable[[], tuple[PeerOffers, ...]],
        tell: Callable[[tuple[Offer, ...]], None],
        taken: Callable[[], Taken | None],
        served: Callable[[], Served],
        changed: Callable[[], None],
        shown: Callable[[], int],
    ) -> None:
        self._settings, self._identity, self._paths = settings, identity, paths
        self._network, self._changes = network, changes
        self._peers, self._tell, self._taken, self._changed = peers, tell, taken, changed
        self._served = served
        self._shown = shown
        self._discovery = Discovery(changes)
        self._relays = Relays.of(settings, identity, str(paths.relay_sockets))
        self._seen: _Seen | None = None
        self._lasting = Lasting()
        self._ignored: frozenset[str] = frozenset()
        self._told: tuple[Offer, ...] | None = None
        self.fleet: Fleet | None = None
        """What nginx is to serve; None before that is known."""

    async def run(self) -> None:
        """Follow until cancelled."""
        engine = await asyncio.to_thread(_engine, self._settings)
        await relay.install(self._paths, self._settings.secrets)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._discovery.run(engine), name="docker")
            await self._follow()

    def report(self) -> ContainersReport:
        """Return the sites and their state for people and programs."""
        served = self._served()
        refused = {f"every change of a container: {served.error}"} if served.error else set[str]()
        return report(
            self._lasting.sites,
            node=str(self._identity.node),
            certificates=served.certificates,
            ignored=self._ignored | served.ignored | refused,
            error=self._discovery.error,
        )

    async def _follow(self) -> None:
        """Look after each change, and set `fleet` once there has been no other for a moment."""
        begun = moved = 0.0
        last: Fleet | None = None
        while True:
            version = self._changes.version
            await self._look()
            now, fleet = time.monotonic(), self._now()
            wait = self._lasting.due(now)
            if self._seen is None or fleet == self.fleet:
                last = None
            else:
                begun, moved = begun if last is not None else now, moved if last == fleet else now
                last = fleet
                rest = min(moved + SETTLED_AFTER, begun + AT_LATEST) - now
                if rest <= 0.0:
                    self.fleet = fleet
                    self._changed()
                    self._changes.announce()
                    continue
                wait = min(rest, wait) if wait is not None else rest
            await self._changes.wait_after(version, within=wait)

    def _now(self) -> Fleet:
        return Fleet(
            sites=self._lasting.sites,
            relays=self._relays,
            spread=self._settings.containers_spread,
            shown=self._shown(),
        )

    async def _look(self) -> None:
        """Make the sites anew if anything has changed that they are made of."""
        now = time.monotonic()
        seen = self._see()
        if seen is None or (seen == self._seen and self._lasting.due(now) != 0.0):
            return
        self._seen = seen
        own, ignored, self._lasting = await asyncio.to_thread(_make, seen, self._lasting, now)
        for one in sorted(ignored - self._ignored):
            log.warning("ignored: %s", one)
        self._ignored = ignored
        if seen.containers is not None and own != self._told:
            self._told = own
            self._tell(own)

    def _see(self) -> _Seen | None:
        """Return what the sites are made of; None before nginx and Docker have answered."""
        taken, containers = self._taken(), self._discovery.containers
        if taken is None or (containers is None and not self._discovery.error):
            return None
        return _Seen(
            containers=containers,
            around=surroundings(self._settings, self._identity.interface, self._network),
            peers=self._peers(),
            taken=taken,
        )


def _engine(settings: Settings) -> "Engine":
    # Docker's library is large, so only who wants containers has it; what is wrong with it ends
    # this part alone.
    from sidecar.containers.engine import Engine  # noqa: PLC0415

    return Engine(settings.docker_host, settings.containers_filter)


def _make(
    seen: _Seen, lasting: Lasting, now: float
) -> tuple[tuple[Offer, ...], frozenset[str], Lasting]:
    """Return the offers to the peers, what is ignored, and all sites."""
    own, unusable = routes(seen.containers or (), seen.around)
    sites, unserved = merge(own, seen.peers, seen.taken)
    ignored = frozenset(map(str, (*unusable, *unserved)))
    return offers(own), ignored, lasting.after(sites, now, seen.taken)
