"""The other nodes' VRRP adverts (RFC 5798), with the kernel's time of their arrival.

keepalived does not say when it heard a MASTER last, which is when the time without one begins.
Nor does a BACKUP send anything: whether its adverts would arrive is known by the probes that every
node sends to every other one. Their VRID is 0, which no router has, and keepalived drops them.
"""

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Final

from sidecar.core.settings import Address
from sidecar.core.timeline import Advert

log = logging.getLogger("vrrp")

VRRP: Final = 112
"""The IP protocol."""

_ALL_ROUTERS: Final = "224.0.0.18"
"""Where adverts go that are sent to nobody in particular (RFC 5798 §5.1.1.2)."""

_TIMESTAMP: Final = 35  # SO_TIMESTAMPNS (socket(7)); Python has no name for it
_TIME: Final = struct.Struct("@qq")

_EVERY: Final = 1.0
"""Seconds between two probes, and two looks at what has come; until then the kernel keeps it."""

SILENT: Final = 10.0
"""Seconds without a packet of a peer after which its packets do not arrive."""

_PROBE: Final = bytes([0x31, 0, 0, 0, 0, 0, 0, 0])
"""Version 3, an advert, of VRID 0, without addresses."""
_FAR: Final = 255
"""Hops that a packet may make: as with adverts, whose receivers check that it made none."""

_MOST: Final = 512
"""Packets that are read at a look; the kernel keeps fewer."""


class Adverts:
    """Knows the last advert of another node of this VRRP instance, and which nodes can be heard.

    Given: the address of this node, the other nodes of its family, and the VRID.
    """

    def __init__(self, own: Address, peers: Collection[Address], vrid: int) -> None:
        self._own, self._peers = str(own), frozenset(map(str, peers))
        self._family = socket.AF_INET if own.version == 4 else socket.AF_INET6
        self._vrid = vrid
        self._listener: socket.socket | None = None
        self._since = 0.0
        """Monotonic time from which this node listens."""
        self._last: Advert | None = None
        self._heard: dict[str, float] = {}
        """Monotonic time of the last packet, by its sender."""

    @property
    def last(self) -> Advert | None:
        """The newest that has come."""
        self._read()
        return self._last

    @property
    def heard(self) -> tuple[str, ...] | None:
        """The peers whose VRRP packets arrive here; None while that cannot be told."""
        self._read()
        now = time.monotonic()
        heard = sorted(peer for peer, at in self._heard.items() if now - at < SILENT)
        known = self._listener is not None and now - self._since >= SILENT
        return tuple(heard) if known or len(heard) == len(self._peers) else None

    async def run(self) -> None:
        """Listen and send probes until cancelled; raise OSError where that is not possible."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        with (
            socket.socket(self._family, kind, VRRP) as listener,
            socket.socket(self._family, kind, VRRP) as sender,
        ):
            listener.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
            if self._family == socket.AF_INET:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, _FAR)
            else:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _FAR)
            sender.bind((self._own, 0))
            self._listener, self._since = listener, time.monotonic()
            try:
                while True:
                    self._read()
                    self._probe(sender)
                    await asyncio.sleep(_EVERY)
            finally:
                self._listener = None

    def _probe(self, sender: socket.socket) -> None:
        for peer in self._peers:
            with suppress(OSError):  # without a network, or by our own firewall: it is not heard
                sender.sendto(_PROBE, (peer, 0))

    def _read(self) -> None:
        if (listener := self._listener) is None:
            return
        with suppress(BlockingIOError):
            for _ in range(_MOST):
                packet, extra, _, sender = listener.recvmsg(256, 64)
                self._hear(packet, extra[0][2], sender[0])

    def _hear(self, packet: bytes, stamp: bytes, sender: str) -> None:
        advert = parse(packet, self._family)
        if sender not in self._peers:
            return
        self._heard[sender] = time.monotonic()
        if advert is not None and advert[0] == self._vrid:
            seconds, nanoseconds = _TIME.unpack(stamp)
            arrived = seconds + nanoseconds / 1e9
            self._last = Advert(source=sender, priority=advert[1], time=arrived)


async def hears_advert(sources: Collection[Address], vrid: int, within: float) -> bool:
    """Tell whether an advert of `vrid` from one of `sources` arrives in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            try:
                await next_advert(sources, vrid)
            except OSError as error:
                log.warning("cannot listen for adverts: %s", error)
                await asyncio.sleep(within)
            else:
                return True
    return False


async def next_advert(sources: Collection[Address], vrid: int) -> None:
    """Wait for an advert of `vrid` from one of `sources`; raise OSError where nobody can listen.

    keepalived tells nobody of adverts, and ignores them while it is in FAULT.
    """
    family = socket.AF_INET if next(iter(sources)).version == 4 else socket.AF_INET6
    wanted = {str(source) for source in sources}
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with socket.socket(family, kind, VRRP) as listener:
        while True:
            packet, sender = await asyncio.get_running_loop().sock_recvfrom(listener, 256)
            advert = parse(packet, family)
            if sender[0] in wanted and advert is not None and advert[0] == vrid:
                return
            await asyncio.sleep(0)  # sock_recvfrom does not yield if something is there


def overheard(own: Address, within: float) -> frozenset[tuple[str, int]]:
    """Return who sends adverts of which VRID to this host, or to all, in so many seconds. Blocks.

    Raise OSError where nobody can listen.
    """
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    found = set()
    deadline = time.monotonic() + within
    with socket.socket(family, socket.SOCK_RAW, VRRP) as listener:
        if family == socket.AF_INET:
            group = socket.inet_aton(_ALL_ROUTERS) + own.packed
            with suppress(OSError):  # no multicast here
                listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        while (left := deadline - time.monotonic()) > 0:
            listener.settimeout(left)
            with suppress(TimeoutError):
                packet, sender = listener.recvfrom(256)
                if advert := parse(packet, family):
                    found.add((sender[0], advert[0]))
    return frozenset(found)


def parse(packet: bytes, family: int) -> tuple[int, int] | None:
    """Return VRID and priority of an advert as a raw socket delivers it; None if it is none."""
    start = header_length(packet, family)
    return (packet[start + 1], packet[start + 2]) if len(packet) > start + 2 else None


def header_length(packet: bytes, family: int) -> int:
    """Return the bytes of the IP header that a raw socket delivers: none for IPv6 (raw(7))."""
    return (packet[0] & 0x0F) * 4 if family == socket.AF_INET else 0
