"""Saying on the wire where an address is, unasked: gratuitous ARP, unsolicited neighbour advert."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sidecar.core.settings import Address
from sidecar.errors import ProgramError

_ETHERNET: Final = 1
_IPV4: Final = 0x0800
_ARP: Final = 0x0806
_REQUEST: Final = 1
_ALL: Final = b"\xff" * 6

_ALL_NODES: Final = "ff02::1"
_ADVERT: Final = 136
_ROUTER: Final = 0x80
_OVERRIDE: Final = 0x20
_TARGET_LINK_ADDRESS: Final = 2


def announce(address: Address, interface: str) -> None:
    """Tell everybody on the wire that `address` is here; raise ProgramError if that fails."""
    try:
        if address.version == 4:
            _announce_by_arp(address.packed, interface)
        else:
            _announce_by_neighbour_advert(address.packed, interface)
    except OSError as error:
        raise ProgramError(f"cannot announce {address} on {interface}: {error}") from error


def _announce_by_arp(address: bytes, interface: str) -> None:
    """Send it as a request (RFC 5227, 3), which everybody takes for an update."""
    with _wire(interface) as wire:
        if (own := _link_address(wire)) is None:
            return
        head = struct.pack("!HHBBH", _ETHERNET, _IPV4, len(own), len(address), _REQUEST)
        packet = head + own + address + _ALL + address
        wire.sendto(packet, (interface, _ARP, 0, 0, _ALL))


def _announce_by_neighbour_advert(address: bytes, interface: str) -> None:
    """Send it to all nodes, to override what they have (RFC 4861, 7.2.6)."""
    with _wire(interface) as wire:
        if (own := _link_address(wire)) is None:
            return
    flags = _OVERRIDE | (_ROUTER if _forwards(interface) else 0)
    head = struct.pack("!BBHBxxx", _ADVERT, 0, 0, flags)
    packet = head + address + struct.pack("!BB", _TARGET_LINK_ADDRESS, 1) + own
    index = socket.if_nametoindex(interface)
    # The kernel fills in the checksum (RFC 3542, 3.1).
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.sendto(packet, (_ALL_NODES, 0, 0, index))


@contextmanager
def _wire(interface: str) -> Iterator[socket.socket]:
    """Give a socket that sends below IP, and hears nothing."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
        wire.bind((interface, 0))
        yield wire


def _link_address(wire: socket.socket) -> bytes | None:
    """Return the MAC address; None where there is none (a tunnel)."""
    _, _, _, hardware, own = wire.getsockname()
    return own if hardware == _ETHERNET and len(own) == len(_ALL) else None


def _forwards(interface: str) -> bool:
    """Tell whether this host is a router, which its adverts must say."""
    setting = Path("/proc/sys/net/ipv6/conf", interface, "forwarding")
    return setting.read_text().strip() != "0"
