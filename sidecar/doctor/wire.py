"""What is on the wire: who has an address, and whether a port answers."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_ETHERNET: Final = 1
_IPV4: Final = 0x0800
_ARP: Final = 0x0806
_REQUEST: Final = 1
_REPLY: Final = 2
_ALL: Final = b"\xff" * 6
_MESSAGE: Final = struct.Struct("!HHBBH6s4s6s4s")

_SOLICITATION: Final = struct.Struct("!BBHxxxx16sBB6s")
_SOLICITED_NODE: Final = IPv6Address("ff02::1:ff00:0").packed[:13]
"""The group of all who have an address with the same last three bytes (RFC 4291 §2.7.1)."""
_SOURCE_MAC: Final = 1
_TARGET_MAC: Final = 2
_OPTIONS: Final = 24
"""Where the options of an advertisement begin."""


def who_has(
    addresses: Collection[IPv4Address], interface: str, within: float
) -> Mapping[str, tuple[str, ...]]:
    """Return the MAC addresses that answer for each address, other than our own. Blocks.

    It sends ARP probes (RFC 5227 §1.1), which change no ARP cache. Raise OSError where that is
    not possible.
    """
    found: dict[str, set[str]] = {str(address): set() for address in addresses}
    deadline = time.monotonic() + within
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ARP)) as wire:
        wire.bind((interface, _ARP))
        own = wire.getsockname()[4]
        for address in addresses:
            question = _MESSAGE.pack(
                _ETHERNET, _IPV4, 6, 4, _REQUEST, own, bytes(4), bytes(6), address.packed
            )
            wire.sendto(question, (interface, _ARP, 0, 0, _ALL))
        while (left := deadline - time.monotonic()) > 0:
            wire.settimeout(left)
            with suppress(TimeoutError):
                message = wire.recv(128)
                if len(message) >= _MESSAGE.size:
                    *_, kind, mac, sender, _, _ = _MESSAGE.unpack_from(message)
                    name = str(IPv4Address(sender))
                    if kind == _REPLY and name in found and mac != own:
                        found[name].add(mac.hex(":"))
    return {address: tuple(sorted(macs)) for address, macs in found.items()}


def who_has_v6(
    addresses: Collection[IPv6Address], interface: str, within: float
) -> Mapping[str, tuple[str, ...]]:
    """Return the MAC addresses that answer for each address, other than our own. Blocks.

    It sends neighbour solicitations (RFC 4861 §4.3) from this host's own address; the probe of
    RFC 4862, from no address, could take an address from a node that is just adding it. Raise
    OSError where that is not possible, as on an interface without IPv6.
    """
    found: dict[str, set[str]] = {str(address): set() for address in addresses}
    if not addresses:
        return {}
    deadline = time.monotonic() + within
    own, index = _mac(interface), socket.if_nametoindex(interface)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        for address in addresses:
            question = _SOLICITATION.pack(135, 0, 0, address.packed, _SOURCE_MAC, 1, own)
            group = str(IPv6Address(_SOLICITED_NODE + address.packed[-3:]))
            wire.sendto(question, (group, 0, 0, index))
        while (left := deadline - time.monotonic()) > 0:
            wire.settimeout(left)
            with suppress(TimeoutError):
                target, mac = _advertised(wire.recv(1500))
                if target in found and mac not in {b"", own}:
                    found[target].add(mac.hex(":"))
    return {address: tuple(sorted(macs)) for address, macs in found.items()}


def _mac(interface: str) -> bytes:
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
        wire.bind((interface, 0))
        mac: bytes = wire.getsockname()[4]
        return mac


def _advertised(message: bytes) -> tuple[str, bytes]:
    """Return address and MAC of a neighbour advertisement (RFC 4861 §4.4); empty where none is."""
    if len(message) < _OPTIONS or message[0] != 136:
        return "", b""
    target, options = str(IPv6Address(message[8:_OPTIONS])), message[_OPTIONS:]
    while len(options) >= 8 and options[1]:
        if options[0] == _TARGET_MAC:
            return target, options[2:8]
        options = options[8 * options[1] :]
    return target, b""


async def knock(host: str, port: int, within: float) -> str:
    """Return why a TCP connection cannot be opened; empty if it can."""
    try:
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {within:g} s"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else str(error)
    writer.close()
    return ""


async def resolves(name: str, within: float) -> bool:
    """Tell whether a host name can be resolved in time."""
    with suppress(TimeoutError, OSError, UnicodeError):
        async with asyncio.timeout(within):
            await asyncio.get_running_loop().getaddrinfo(name, None)
            return True
    return False
