"""The sites of containers in nginx's words: every name and number that the template prints.

client ─► site ─► own container                       group ha_own_N
└──► unix socket ─► TLS ─► peer's relay   group ha_site_N, where there are both
peer ─► relay ─► own container                        by the site's mark, never forwarded again
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sidecar.core.containers.container import Ignored
from sidecar.core.containers.fleet import PeerReplicas, Site
from sidecar.core.containers.words import ROOT, Method, Proto
from sidecar.core.settings import Address, Identity, Settings
from sidecar.core.sites import listens

_ANOTHER: Final = "500ms"
"""Time to connect where another container may be asked next."""
_LAST: Final = "5s"
_KEPT: Final = 64
"""Connections to a relay that stay open: each new one costs a handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relays:
    """Where this node's relay listens, and where those of its peers are."""

    node: Address
    peers: tuple[Address, ...]
    port: int
    sockets: str
    """Directory of the unix sockets that lead to the peers."""

    @classmethod
    def of(cls, settings: Settings, identity: Identity, sockets: str) -> "Relays":
        """Return the relays of a cluster."""
        return cls(
            node=identity.node, peers=identity.peers, port=settings.relay_port, sockets=sockets
        )

    @property
    def listen(self) -> str:
        """Value of `listen` of this node's relay."""
        return self.at(self.node)

    def at(self, address: Address | str) -> str:
        """Return where a node's relay is."""
        host = f"[{address}]" if ":" in str(address) else str(address)
        return f"{host}:{self.port}"

    def socket(self, node: str, proto: Proto) -> str:
        """Return the unix socket that leads to a peer's relay."""
        number = [str(peer) for peer in self.peers].index(node) + 1
        return f"unix:{self.sockets}/{number}-{proto}.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is to be served, as far as containers decide it."""

    sites: tuple[Site, ...]
    relays: Relays
    spread: bool
    """HA_CONTAINERS_SPREAD: requests are balanced over the containers of all nodes."""
    shown: int = 0
    """Which of two secrets the other nodes are shown, by its place in HA_SECRET."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An `upstream` block."""

    name: str
    servers: tuple[str, ...]
    """Values of `server`."""
    keepalive: int = 16
    """Connections that stay open, for each of nginx's workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A `location` block."""

    path: str
    target: str = ""
    """Value of `proxy_pass` or `grpc_pass`; empty: no container serves it, so it answers 503."""
    grpc: bool = False
    direct: bool = False
    """The target is the relays of peers, without a unix socket between."""
    mark: str = ""
    """Tells a relay which site is meant; empty if no relay is asked."""
    connect_timeout: str = _LAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The `server` blocks of a host; those without a `listen` are left out."""

    host: str
    listens: tuple[str, ...]
    """Values of `listen` of the one that proxies."""
    redirects: tuple[str, ...]
    """Values of `listen` of the one that redirects to https."""
    closed: tuple[str, ...]
    """Values of `listen` of the one that closes connections without an answer."""
    certificate: str
    """Directory with fullchain.pem and privkey.pem; empty without TLS."""
    locations: tuple[Location, ...]
    rest: bool
    """No location is `/`, so that the rest answers 404."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """A unix socket of ours that leads to a peer's relay."""

    listen: str
    proto: Proto
    group: str
    """Name of the peer's `upstream`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that the template prints."""

    relay: str
    """Value of `listen` of the relay."""
    groups: tuple[Group, ...]
    servers: tuple[Server, ...]
    relayed: Mapping[str, str]
    """Mark of each site that the relay serves → its target."""
    sockets: tuple[Socket, ...]
    secure: tuple[str, ...]
    """Values of `listen` for port 443; empty if no site has TLS."""


def certificate_names(sites: Iterable[Site]) -> dict[str, str]:
    """Return the folder in certs/ that each host asks for; empty for the one of its name."""
    return {host: _first(of_host).certificate for host, of_host in _by_host(sites)}


def plan(fleet: Fleet, *, certificates: Mapping[str, str], ipv6: bool) -> Plan:
    """Return what nginx shall serve.

    Given: the directory of each host's certificate, and whether this host knows IPv6.
    """
    relays, spread = fleet.relays, fleet.spread
    groups: list[Group] = []
    relayed: dict[str, str] = {}
    servers = []
    number = 0
    for host, of_host in _by_host(fleet.sites):
        locations = []
        for site in of_host:
            number += 1
            own = tuple(replica.server for replica in site.own if replica.up)
            peers = _useful(site.peers, alike=spread and bool(own))
            if own:
                groups.append(Group(name=f"ha_own_{number}", servers=own))
                relayed[mark(site)] = f"{site.proto}://ha_own_{number}"
            if peers:
                reached = _reached(site, own, peers, relays, spread=spread)
                groups.append(Group(name=f"ha_site_{number}", servers=reached, keepalive=_KEPT))
            locations.append(_location(site, number, own=bool(own), peers=bool(peers)))
        servers.append(_server(host, of_host, locations, certificates.get(host, ""), ipv6=ipv6))
    secure = listens(443, ipv6=ipv6, options=("ssl",))
    of_peers = [
        Group(name=f"ha_peer_{number}", servers=(relays.at(peer),), keepalive=_KEPT)
        for number, peer in enumerate(relays.peers, start=1)
    ]
    return Plan(
        relay=relays.listen,
        groups=(*groups, *of_peers),
        servers=tuple(servers),
        relayed=relayed,
        sockets=tuple(_sockets(relays)),
        secure=secure if any(set(secure) & set(server.listens) for server in servers) else (),
    )


def unsecured(sites: Iterable[Site], certificates: Mapping[str, str]) -> tuple[Ignored, ...]:
    """Return the own containers that do not want HTTP, and get it for lack of a certificate.

    nginx-proxy serves such a site by HTTP, too.
    """
    return tuple(
        Ignored(
            container=first.own[0].container,
            reason=f"HTTPS_METHOD=nohttp, but {host} has no certificate and is served on port 80: "
            f"add fullchain.pem and privkey.pem to certs/{first.certificate or host}",
        )
        for host, of_host in _by_host(sites)
        if (first := _first(of_host)).method is Method.NOHTTP
        and first.own
        and host not in certificates
    )


def mark(site: Site) -> str:
    """Return the id of a site in requests to relays: the same on every node."""
    return hashlib.sha256(f"{site.host}{site.path}".encode()).hexdigest()[:16]


def _location(site: Site, number: int, *, own: bool, peers: bool) -> Location:
    if not own and not peers:
        return Location(path=site.path)
    proto = site.proto if own else (Proto.GRPCS if site.proto.grpc else Proto.HTTPS)
    group = f"ha_site_{number}" if peers else f"ha_own_{number}"
    return Location(
        path=site.path,
        target=f"{proto}://{group}{site.dest}",
        grpc=site.proto.grpc,
        direct=not own,
        mark=mark(site) if peers else "",
        connect_timeout=_ANOTHER if own and (peers or len(site.own) > 1) else _LAST,
    )


def _useful(peers: Sequence[PeerReplicas], *, alike: bool) -> tuple[PeerReplicas, ...]:
    """Return the peers that get requests: those that are not linked only if there is nobody else.

    Where they would share the requests with own containers (`alike`), those get none at all.
    """
    able = [peer for peer in peers if peer.up]
    linked = tuple(peer for peer in able if peer.linked)
    return linked if linked or alike else tuple(able)


def _reached(
    site: Site,
    own: tuple[str, ...],
    peers: Sequence[PeerReplicas],
    relays: Relays,
    *,
    spread: bool,
) -> tuple[str, ...]:
    if not own:
        return tuple(f"{relays.at(peer.node)} weight={peer.up}" for peer in peers)
    sockets = [
        f"{relays.socket(peer.node, site.proto)} {f'weight={peer.up}' if spread else 'backup'}"
        for peer in peers
    ]
    return (*own, *sockets)


def _server(
    host: str,
    sites: Sequence[Site],
    locations: Sequence[Location],
    certificate: str,
    *,
    ipv6: bool,
) -> Server:
    method = _first(sites).method
    if method is Method.NOHTTPS:
        certificate = ""
    plain = listens(80, ipv6=ipv6)
    secure = listens(443, ipv6=ipv6, options=("ssl",)) if certificate else ()
    redirects = bool(certificate) and method is Method.REDIRECT
    closed = bool(certificate) and method is Method.NOHTTP
    return Server(
        host=host,
        listens=secure if redirects or closed else (*plain, *secure),
        redirects=plain if redirects else (),
        closed=plain if closed else (),
        certificate=certificate,
        locations=tuple(locations),
        rest=all(location.path != ROOT for location in locations),
    )


def _sockets(relays: Relays) -> Iterator[Socket]:
    """Give the sockets to all peers, used or not: earlier workers use them after a reload."""
    for number, peer in enumerate(map(str, relays.peers), start=1):
        for proto in Proto:
            yield Socket(listen=relays.socket(peer, proto), proto=proto, group=f"ha_peer_{number}")


def _by_host(sites: Iterable[Site]) -> list[tuple[str, list[Site]]]:
    return [(host, list(some)) for host, some in groupby(sites, key=lambda site: site.host)]


def _first(sites: Sequence[Site]) -> Site:
    """Return the site whose method and certificate count for its host: one with own containers."""
    return next((site for site in sites if site.own), sites[0])
