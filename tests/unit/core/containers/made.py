"""Containers and what surrounds them, made up."""

from ipaddress import ip_address, ip_interface

from sidecar.core.containers.container import Condition, Container, Surroundings
from sidecar.core.containers.fleet import Site
from sidecar.core.containers.plan import Relays
from sidecar.core.containers.site import Replica
from sidecar.core.containers.words import Method, Proto

AROUND = Surroundings(
    networks=(ip_interface("172.17.0.1/16"), ip_interface("fd00:17::1/64")),
    own_ports=frozenset({80, 443, 8731}),
)
A, B, C = map(ip_address, ("192.0.2.11", "192.0.2.12", "192.0.2.13"))
RELAYS = Relays(node=A, peers=(B, C), port=8731, sockets="/run/ha-relay")


def container(
    name: str = "web",
    *,
    condition: Condition = Condition.UP,
    address: str = "172.17.0.3",
    exposed: tuple[int, ...] = (),
    labels: dict[str, str] | None = None,
    host_network: bool = False,
    **environment: str,
) -> Container:
    """Return a container on the default network."""
    return Container(
        name=name,
        condition=condition,
        created=name,
        environment=environment,
        labels=labels or {},
        exposed=exposed,
        addresses=(ip_address(address),) if address else (),
        host_network=host_network,
    )


def site(
    host: str = "app.test",
    path: str = "/",
    *,
    own: tuple[Replica, ...] = (),
    proto: Proto = Proto.HTTP,
    method: Method = Method.REDIRECT,
    dest: str = "",
    certificate: str = "",
) -> Site:
    """Return a site that no peer has."""
    return Site(
        host=host,
        path=path,
        dest=dest,
        proto=proto,
        method=method,
        certificate=certificate,
        own=own,
    )


def replica(
    number: int = 3, condition: Condition = Condition.UP, server: str | None = None
) -> Replica:
    """Return a container of a site."""
    place = f"172.17.0.{number}:80" if server is None else server
    return Replica(container=f"web{number}", condition=condition, server=place)
