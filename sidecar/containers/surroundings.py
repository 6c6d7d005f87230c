"""The facts about this host that decide how a container is reached."""

from ipaddress import ip_interface
from typing import Final

from sidecar.core.containers.container import Surroundings
from sidecar.core.settings import Settings
from sidecar.host.network import Held, Network

_OF_SITES: Final = (80, 443)


def surroundings(settings: Settings, interface: str, network: Network) -> Surroundings:
    """Return them as they are now; given: the interface that leads to the other hosts."""
    held = [one for one in network.addresses() if _leads_to_others(one)]
    # A container on the network of the hosts may be out of this host's reach (macvlan).
    held.sort(key=lambda one: one.interface == interface)
    own = (*_OF_SITES, settings.relay_port, settings.http_port, settings.link_port)
    return Surroundings(
        networks=tuple(dict.fromkeys(ip_interface((one.address, one.prefix)) for one in held)),
        own_ports=frozenset(own),
    )


def _leads_to_others(held: Held) -> bool:
    address = held.address
    single = held.prefix == address.max_prefixlen
    return not (single or address.is_loopback or address.is_link_local)
