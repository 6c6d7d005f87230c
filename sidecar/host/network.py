"""Addresses, default routes and neighbours of the host, over netlink.

The kernel tells of every change, so that what it is asked does not grow with what the host has.
"""

import asyncio
import errno
import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Self

from sidecar.core.settings import Address
from sidecar.errors import ProgramError
from sidecar.host import netlink
from sidecar.host.broadcast import Broadcast
from sidecar.host.netlink import Message

log = logging.getLogger("network")

_GROUPS: Final = 0x1 | 0x10 | 0x100 | 0x40 | 0x400
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE."""

_NEW_ADDRESS: Final = 20
_DELETED_ADDRESS: Final = 21
_GET_ADDRESS: Final = 22
_GET_ROUTE: Final = 26
_NEW_NEIGHBOUR: Final = 28
_GET_NEIGHBOUR: Final = 30

_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_CACHEINFO: Final = 6
_IFA_FLAGS: Final = 8
_IFA_F_NODAD: Final = 0x02
_IFA_F_NOPREFIXROUTE: Final = 0x200
_FOREVER: Final = 0xFFFFFFFF

_RTA_OIF: Final = 4
_RTA_GATEWAY: Final = 5
_MAIN_TABLE: Final = 254

_NDA_DST: Final = 1
_NTF_USE: Final = 0x01
_NUD_PROBE: Final = 0x10
_NUD_FAILED: Final = 0x20
_NUD_ANSWERED: Final = 0x02 | 0x40 | 0x80  # NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT

_ADDRESS: Final = struct.Struct("=BBBBI")  # family, prefix, flags, scope, interface
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # family, prefix, …, table, …
_NEIGHBOUR: Final = struct.Struct("=BxxxiHBB")  # family, interface, state, flags, type
_NUMBER: Final = struct.Struct("=I")

_NO_SUCH_TABLE: Final = (errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)
"""What a host without IPv6 answers."""

_DUMPS: Final = 5
"""Tries at a table that changes while it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An address on an interface of this host."""

    address: Address
    prefix: int
    index: int
    """Of the interface."""
    until: float | None
    """When the kernel drops it (monotonic clock); None: it stays."""

    @property
    def interface(self) -> str:
        """The interface's name now."""
        try:
            return socket.if_indextoname(self.index)
        except OSError:  # it has just gone
            return f"if{self.index}"

    @property
    def lifetime(self) -> float | None:
        """Seconds until the kernel drops it; None: it stays."""
        return None if self.until is None else self.until - time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A default route's next hop."""

    address: Address
    index: int
    """Of the interface that leads to it."""


class Network:
    """The kernel's view of the network; use as an async context manager.

    `changes` announces each change of a link, an address or a default route.
    """

    def __init__(self) -> None:
        self.changes = Broadcast()
        self._held: dict[Address, dict[tuple[int, int], Held]] = {}
        """By address; by interface and prefix."""
        self._gateways: tuple[Gateway, ...] = ()
        self._addresses_known = self._gateways_known = False
        self._complaints: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._requests = netlink.Requests()
        self._events = netlink.Events(_GROUPS)
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._events.fileno())
        self._events.close()
        self._requests.close()

    def addresses(self) -> tuple[Held, ...]:
        """Return every address of every interface."""
        self._refresh()
        return tuple(held for places in self._held.values() for held in places.values())

    def held(self, addresses: Collection[Address]) -> tuple[Held, ...]:
        """Return where some addresses are."""
        self._refresh()
        return tuple(held for one in addresses for held in self._held.get(one, {}).values())

    def lease(self, held: Held, seconds: int) -> None:
        """Give an address a lifetime; one that is missing would be created.

        Raise ProgramError when the kernel refuses.
        """
        preferred, flags = seconds, 0
        if held.address.version == 6:
            # Deprecated at once: never a source address. A prefix route would outlive it.
            preferred, flags = 0, _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE
        options = netlink.pack(_IFA_FLAGS, _NUMBER.pack(flags)) + netlink.pack(
            _IFA_CACHEINFO, struct.pack("=IIII", preferred, seconds, 0, 0)
        )
        self._change("renew", held, _NEW_ADDRESS, netlink.REPLACE, options)

    def delete(self, held: Held) -> None:
        """Take an address off its interface; one that has gone by itself is fine.

        Raise ProgramError when the kernel refuses.
        """
        self._change("remove", held, _DELETED_ADDRESS, 0, b"")

    def gateways(self) -> tuple[Gateway, ...]:
        """Return the next hops of the default routes of both families, in the kernel's order."""
        self._read()
        if not self._gateways_known:
            with self._complaining("default routes"):
                self._gateways = tuple(self._default_gateways())
                self._gateways_known = True
        return self._gateways

    async def reachable(self, gateway: Gateway, within: float) -> bool:
        """Tell whether a neighbour answers the kernel's ARP or neighbour solicitation in time.

        The kernel is asked to resolve the neighbour if it does not know it (NTF_USE) and to verify
        it if it does (NUD_PROBE, ip-neighbour(8)); its answer is the state of the entry.
        """
        for state, flags in ((0, _NTF_USE), (_NUD_PROBE, 0)):
            with suppress(OSError):
                self._requests.change(
                    _NEW_NEIGHBOUR,
                    netlink.CREATE | netlink.REPLACE,
                    _neighbour(gateway, state=state, flags=flags),
                )
        clock = asyncio.get_running_loop().time
        deadline = clock() + within
        while not (state := self._neighbour_state(gateway)) & _NUD_ANSWERED:
            if state & _NUD_FAILED or clock() >= deadline:
                return False
            await asyncio.sleep(within / 10)
        return True

    def _neighbour_state(self, gateway: Gateway) -> int:
        request = _neighbour(gateway, state=0, flags=0)
        try:
            found = [self._requests.get(_GET_NEIGHBOUR, request)]
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                return _NUD_FAILED
            # Before Linux 5.0 there is only the whole table.
            found = self._requests.dump(_GET_NEIGHBOUR, request[: _NEIGHBOUR.size])[0]
        for entry in found:
            _, index, state, *_ = _NEIGHBOUR.unpack_from(entry.body)
            address = netlink.unpack(entry.body[_NEIGHBOUR.size :]).get(_NDA_DST)
            if index == gateway.index and address == gateway.address.packed:
                return int(state)
        return _NUD_FAILED

    def _default_gateways(self) -> Iterator[Gateway]:
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _ROUTE.pack(family, 0, 0, 0, _MAIN_TABLE, 0, 0, 0, 0)
            for route in self._routes(request):
                own, prefix, _, _, table, *_ = _ROUTE.unpack_from(route.body)
                # An old kernel gives every table, one without IPv6 the other family.
                if (own, prefix, table) != (family, 0, _MAIN_TABLE):
                    continue
                found = netlink.unpack(route.body[_ROUTE.size :])
                if _RTA_GATEWAY in found and _RTA_OIF in found:
                    address = ipaddress.ip_address(found[_RTA_GATEWAY])
                    yield Gateway(address=address, index=_NUMBER.unpack(found[_RTA_OIF])[0])

    def _routes(self, request: bytes) -> list[Message]:
        try:
            return self._dump(_GET_ROUTE, request)
        except OSError as error:
            if error.errno in _NO_SUCH_TABLE:
                return []
            raise

    def _refresh(self) -> None:
        """Know what the kernel has told until now; look at everything if something was missed."""
        self._read()
        if self._addresses_known:
            return
        with self._complaining("addresses"):
            messages = self._dump(_GET_ADDRESS, _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
            self._held = {}
            for message in messages:
                self._note(message)
            self._addresses_known = True

    def _dump(self, kind: int, body: bytes) -> list[Message]:
        for _ in range(_DUMPS):
            messages, whole = self._requests.dump(kind, body)
            if whole:
                return messages
        raise OSError(errno.EAGAIN, "it changes too fast")

    def _read(self) -> None:
        """Note what the kernel tells."""
        told = 0
        try:
            for message in self._events.read():
                told += 1
                self._note(message)
        except OSError as error:  # ENOBUFS: more than the socket could hold
            log.info("looking at the network anew: %s", error)
            self._addresses_known = self._gateways_known = False
            told += 1
        if told:
            self.changes.announce()

    def _note(self, message: Message) -> None:
        if message.kind in (_NEW_ADDRESS, _DELETED_ADDRESS):
            held = _held(message.body)
            places = self._held.setdefault(held.address, {})
            if message.kind == _NEW_ADDRESS:
                places[held.index, held.prefix] = held
                return
            places.pop((held.index, held.prefix), None)
            if not places:
                del self._held[held.address]
        # IPv4 routes go without a word when their link or source address goes.
        self._gateways_known = False

    def _change(self, action: str, held: Held, kind: int, flags: int, options: bytes) -> None:
        family = socket.AF_INET if held.address.version == 4 else socket.AF_INET6
        packed = held.address.packed
        request = (
            _ADDRESS.pack(family, held.prefix, 0, 0, held.index)
            + netlink.pack(_IFA_LOCAL, packed)
            + netlink.pack(_IFA_ADDRESS, packed)
            + options
        )
        try:
            self._requests.change(kind, flags, request)
        except OSError as error:
            if kind == _DELETED_ADDRESS and error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
                return
            raise ProgramError(
                f"cannot {action} {held.address} on {held.interface}: {error}", _hint(error.errno)
            ) from error

    @contextmanager
    def _complaining(self, what: str) -> Iterator[None]:
        """Go on with what is known when the kernel does not answer, and say so once."""
        try:
            yield
        except OSError as error:
            if self._complaints.get(what) != str(error):
                log.warning("cannot read the %s of this host: %s", what, error)
            self._complaints[what] = str(error)
        else:
            self._complaints.pop(what, None)


def _held(body: bytes) -> Held:
    _, prefix, _, _, index = _ADDRESS.unpack_from(body)
    found = netlink.unpack(body[_ADDRESS.size :])
    _, valid, _, _ = struct.unpack("=IIII", found.get(_IFA_CACHEINFO) or b"\xff" * 16)
    return Held(
        address=ipaddress.ip_address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]),
        prefix=prefix,
        index=index,
        until=None if valid == _FOREVER else time.monotonic() + valid,
    )


def _neighbour(gateway: Gateway, *, state: int, flags: int) -> bytes:
    family = socket.AF_INET if gateway.address.version == 4 else socket.AF_INET6
    header = _NEIGHBOUR.pack(family, gateway.index, state, flags, 0)
    return header + netlink.pack(_NDA_DST, gateway.address.packed)


def _hint(code: int | None) -> str:
    return "add NET_ADMIN to cap_add of the container" if code == errno.EPERM else ""
