"""The sites of all nodes as one set, made of this node's containers and what the peers offer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.core.containers.container import Ignored
from sidecar.core.containers.site import Key, Offer, Replica, Route
from sidecar.core.containers.words import Method, Proto

LINGERS: Final = 10.0
"""Seconds for which a site stays after its last container on any node has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The hosts that are served by other means, so that no container can have them."""

    files: frozenset[str] = frozenset()
    """Each `server_name` of the user's own files, as nginx has loaded them."""
    sites: frozenset[str] = frozenset()
    """Those of HA_SITES."""
    longest: int = 253
    """Characters of the longest name that fits nginx's table (server_names_hash_bucket_size)."""

    def reason(self, host: str) -> str:
        """Return why a container cannot have a host; empty if it can."""
        above = host.removeprefix("*")
        if host in self.sites:
            return "HA_SITES already serves that host"
        if (
            host in self.files
            or f".{host}" in self.files
            or (above != host and above in self.files)
        ):
            return "your nginx files already serve that host"
        if len(host) > self.longest:
            return (
                f"longer than {self.longest} characters: "
                "raise server_names_hash_bucket_size in nginx.conf"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerOffers:
    """The last offers of a peer."""

    node: str
    linked: bool
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReplicas:
    """A peer's containers for a site."""

    node: str
    linked: bool
    """The link to it is up; otherwise these are the last known numbers."""
    up: int
    down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A host's path, and all containers that serve it."""

    host: str
    path: str
    dest: str
    proto: Proto
    """What this node's containers speak; if only peers have some, http or grpc."""
    method: Method
    certificate: str
    own: tuple[Replica, ...] = ()
    peers: tuple[PeerReplicas, ...] = ()

    @property
    def key(self) -> Key:
        """Identifies the site."""
        return self.host, self.path

    @property
    def up(self) -> bool | None:
        """Some container serves it; None if all that did are on nodes that are not linked."""
        able = [peer for peer in self.peers if peer.up]
        if any(replica.up for replica in self.own) or any(peer.linked for peer in able):
            return True
        return None if able else False


def merge(
    own: Iterable[Route], peers: Sequence[PeerOffers], taken: Taken
) -> tuple[tuple[Site, ...], tuple[Ignored, ...]]:
    """Return the sites of all nodes in order, and which own containers are not used.

    A peer's containers are left out where their VIRTUAL_DEST is not ours, or where only one side
    speaks gRPC.
    """
    sites: dict[Key, Site] = {}
    ignored: list[Ignored] = []
    for route in own:
        if reason := taken.reason(route.host):
            ignored += [
                Ignored(container=replica.container, reason=f"{route.host}: {reason}")
                for replica in route.replicas
            ]
        else:
            sites[route.key] = _from_route(route)
    for peer in peers:
        for offer in peer.offers:
            if taken.reason(offer.host):
                continue
            site = sites.get(offer.key) or _from_offer(offer)
            if (site.dest, site.proto.grpc) == (offer.dest, offer.grpc):
                there = PeerReplicas(
                    node=peer.node, linked=peer.linked, up=offer.up, down=offer.down
                )
                sites[offer.key] = replace(site, peers=(*site.peers, there))
    return tuple(sites[key] for key in sorted(sites)), tuple(ignored)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """The sites, and those that have just lost their last container and still answer 503."""

    there: Mapping[Key, Site] = field(default_factory=dict[Key, Site])
    gone: Mapping[Key, tuple[Site, float]] = field(default_factory=dict[Key, tuple[Site, float]])
    """With the monotonic time when the last container went."""

    def after(self, sites: Iterable[Site], now: float, taken: Taken) -> "Lasting":
        """Return it with new sites, at monotonic time `now`; a host that is taken goes at once."""
        there = {site.key: site for site in sites}
        just_gone = {key: (_emptied(site), now) for key, site in self.there.items()}
        return Lasting(
            there=there,
            gone={
                key: (site, since)
                for key, (site, since) in (just_gone | dict(self.gone)).items()
                if key not in there and now - since < LINGERS and not taken.reason(site.host)
            },
        )

    @property
    def sites(self) -> tuple[Site, ...]:
        """All of them, in order."""
        known = {key: site for key, (site, _) in self.gone.items()} | dict(self.there)
        return tuple(known[key] for key in sorted(known))

    def due(self, now: float) -> float | None:
        """Return the seconds until the next of the gone sites is dropped; None without any."""
        ends = [since + LINGERS for _, since in self.gone.values()]
        return max(0.0, min(ends) - now) if ends else None


def _emptied(site: Site) -> Site:
    return replace(site, own=(), peers=())


def _from_route(route: Route) -> Site:
    return Site(
        host=route.host,
        path=route.path,
        dest=route.dest,
        proto=route.proto,
        method=route.method,
        certificate=route.certificate,
        own=route.replicas,
    )


def _from_offer(offer: Offer) -> Site:
    return Site(
        host=offer.host,
        path=offer.path,
        dest=offer.dest,
        proto=Proto.GRPC if offer.grpc else Proto.HTTP,
        method=offer.method,
        certificate=offer.certificate,
    )
