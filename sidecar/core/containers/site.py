"""The sites of this node's own containers, and what the other nodes are told of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from msgspec import Meta, convert

from sidecar.core.containers import words
from sidecar.core.containers.container import (
    Claim,
    Condition,
    Container,
    Ignored,
    Surroundings,
    claims,
    server,
)
from sidecar.core.containers.words import Method, Proto

MOST_SITES: Final = 1000
"""Hosts and paths that a node may have."""

Count = Annotated[int, Meta(ge=0, le=10_000)]

type Key = tuple[str, str]
"""Host and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """A container of a site."""

    container: str
    condition: Condition
    server: str
    """`address:port`; empty where it has none."""

    @property
    def up(self) -> bool:
        """It gets requests."""
        return self.condition is Condition.UP and bool(self.server)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A host and path that containers of this node serve."""

    host: str
    path: str
    dest: str
    proto: Proto
    method: Method
    certificate: str
    replicas: tuple[Replica, ...]

    @property
    def key(self) -> Key:
        """Identifies the site."""
        return self.host, self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A route as a node announces it to the others."""

    host: str
    path: str
    dest: str
    grpc: bool
    method: Method
    certificate: str
    up: Count
    """Replicas that get requests."""
    down: Count
    """Replicas that do not."""

    @property
    def key(self) -> Key:
        """Identifies the site."""
        return self.host, self.path


def routes(
    containers: Iterable[Container], around: Surroundings
) -> tuple[tuple[Route, ...], tuple[Ignored, ...]]:
    """Return the routes of a node's containers, and what of their declarations is not used.

    Of several containers for one host and path, the oldest decides how they are served.
    """
    found: dict[Key, Route] = {}
    ignored: list[Ignored] = []
    for container in sorted(containers, key=lambda one: (one.created, one.name)):
        wanted, refused = claims(container)
        ignored += refused
        for claim in wanted:
            place, reason = server(container, claim, around)
            reason = reason or _misfit(found, claim)
            if reason:
                words_of_it = f"{claim.host}{claim.path}: {reason}"
                ignored.append(Ignored(container=container.name, reason=words_of_it))
                continue
            replica = Replica(container=container.name, condition=container.condition, server=place)
            key = (claim.host, claim.path)
            found[key] = _joined(found.get(key), claim, replica)
    return tuple(found[key] for key in sorted(found)), tuple(ignored)


def offers(own: Iterable[Route]) -> tuple[Offer, ...]:
    """Return what the other nodes are told."""
    return tuple(
        Offer(
            host=route.host,
            path=route.path,
            dest=route.dest,
            grpc=route.proto.grpc,
            method=route.method,
            certificate=route.certificate,
            up=sum(replica.up for replica in route.replicas),
            down=sum(not replica.up for replica in route.replicas),
        )
        for route in own
    )


def from_peer(items: Sequence[object]) -> tuple[Offer, ...]:
    """Return the offers in a message of a peer; raise ValueError if anything in it is invalid."""
    found = {offer.key: offer for offer in map(_checked, convert(items, tuple[Offer, ...]))}
    if len(found) != len(items):
        raise ValueError("a site appears twice")
    if len(found) > MOST_SITES:
        raise ValueError(f"at most {MOST_SITES} sites are allowed")
    return tuple(found[key] for key in sorted(found))


def _misfit(found: Mapping[Key, Route], claim: Claim) -> str:
    known = found.get((claim.host, claim.path))
    if known is None:
        return f"more than {MOST_SITES} sites" if len(found) >= MOST_SITES else ""
    if (known.dest, known.proto) != (claim.dest, claim.proto):
        return f"{known.replicas[0].container} sets another VIRTUAL_DEST or VIRTUAL_PROTO"
    return ""


def _joined(known: Route | None, claim: Claim, replica: Replica) -> Route:
    before = known.replicas if known else ()
    return Route(
        host=claim.host,
        path=claim.path,
        dest=claim.dest,
        proto=claim.proto,
        method=known.method if known else claim.method,
        certificate=known.certificate if known else claim.certificate,
        replicas=(*before, replica),
    )


def _checked(offer: Offer) -> Offer:
    if offer.grpc and offer.dest:
        raise ValueError("gRPC paths cannot be rewritten")
    return replace(
        offer,
        host=words.host(offer.host),
        path=words.path(offer.path),
        dest=words.dest(offer.dest),
        certificate=words.certificate(offer.certificate),
    )
