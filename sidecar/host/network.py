"""Addresses, routes and neighbours of the host, over netlink."""

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from sidecar.core.settings import Address, Interface
from sidecar.errors import ProgramError

_Table = Callable[..., Any]

_FOREVER: Final = 0xFFFFFFFF
_LINK_CHANGED: Final = 0x1  # RTMGRP_LINK
_ADDRESS_CHANGED: Final = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_VRRP: Final = 112
"""IP protocol number."""

_IFA_F_NODAD: Final = 0x02
_IFA_F_NOPREFIXROUTE: Final = 0x200
_NTF_USE: Final = 0x01
_NUD_FAILED: Final = 0x20
_NUD_ANSWERED: Final = 0x02 | 0x40 | 0x80  # NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An address on an interface of this host."""

    address: Address
    prefix: int
    interface: str
    lifetime: int | None
    """Seconds until the kernel drops it; None: it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A default route's next hop."""

    address: Address
    index: int
    """Of the interface that leads to it."""


class Network:
    """The kernel's view of the network; use as an async context manager."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._ask: AsyncIPRoute
        self._listen: AsyncIPRoute
        self._turn = asyncio.Lock()
        """The kernel answers one dump at a time on a socket, and EBUSY to the second."""

    async def __aenter__(self) -> Self:
        self._ask = await self._stack.enter_async_context(AsyncIPRoute())
        self._listen = await self._stack.enter_async_context(AsyncIPRoute())
        await self._listen.bind(groups=_LINK_CHANGED | _ADDRESS_CHANGED)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def addresses(self) -> tuple[Held, ...]:
        """Return every address of every interface."""
        return tuple([_held(message) for message in await self._dump(self._ask.addr)])

    async def lease(self, vip: Interface, interface: str, seconds: int) -> None:
        """Give an address on `interface` a lifetime; one that is missing would be created."""
        options = {"valid_lft": seconds, "preferred_lft": seconds}
        if vip.version == 6:
            # Deprecated at once: never a source address. A prefix route would outlive it.
            options |= {"preferred_lft": 0, "flags": _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE}
        await self._change("replace", vip, interface, **options)

    async def delete(self, held: Held) -> None:
        """Take an address off its interface; one that has gone by itself is fine."""
        vip = ipaddress.ip_interface(f"{held.address}/{held.prefix}")
        await self._change("delete", vip, held.interface)

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` at every change of a link or an address, until cancelled."""
        while True:
            async for _ in self._listen.get():
                pass
            on_change()

    async def gateways(self) -> tuple[Gateway, ...]:
        """Return the next hops of the default routes of both families, in the kernel's order."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in await self._dump(self._ask.route, family=family, table=254):
                hop, index = route.get_attr("RTA_GATEWAY"), route.get_attr("RTA_OIF")
                if route["dst_len"] == 0 and hop is not None and index is not None:
                    found.append(Gateway(address=ipaddress.ip_address(hop), index=index))
        return tuple(found)

    async def reachable(self, gateway: Gateway, within: float) -> bool:
        """Tell whether a neighbour answers the kernel's ARP or neighbour solicitation in time.

        The kernel is asked to resolve the neighbour if it does not know it (NTF_USE) and to verify
        it if it does (NUD_PROBE, ip-neighbour(8)); its answer is the state of the entry.
        """
        target = {"dst": str(gateway.address), "ifindex": gateway.index}
        for request in ({"flags": _NTF_USE}, {"state": "probe"}):
            with suppress(NetlinkError):
                async with self._turn:
                    await self._ask.neigh("replace", **target, **request)
        clock = asyncio.get_running_loop().time
        deadline = clock() + within
        while not (state := await self._neighbour_state(gateway)) & _NUD_ANSWERED:
            if state & _NUD_FAILED or clock() >= deadline:
                return False
            await asyncio.sleep(within / 10)
        return True

    async def _neighbour_state(self, gateway: Gateway) -> int:
        family = socket.AF_INET if gateway.address.version == 4 else socket.AF_INET6
        for entry in await self._dump(self._ask.neigh, family=family, ifindex=gateway.index):
            if entry.get_attr("NDA_DST") == str(gateway.address):
                return int(entry["state"])
        return _NUD_FAILED

    async def _dump(self, ask: _Table, /, **options: int) -> list[Any]:
        async with self._turn:
            return [message async for message in await ask("dump", **options)]

    async def _change(self, action: str, vip: Interface, interface: str, **options: int) -> None:
        try:
            async with self._turn:
                await self._ask.addr(
                    action,
                    index=socket.if_nametoindex(interface),
                    address=str(vip.ip),
                    prefixlen=vip.network.prefixlen,
                    **options,
                )
        except NetlinkError as error:
            if action == "delete" and error.code == errno.EADDRNOTAVAIL:
                return
            raise ProgramError(
                f"cannot {action} {vip} on {interface}: {error}", _hint(error.code)
            ) from error
        except OSError as error:
            raise ProgramError(f"cannot {action} {vip} on {interface}: {error}") from error


def _held(message: Any) -> Held:  # noqa: ANN401 # pyroute2 has no types
    cache = message.get_attr("IFA_CACHEINFO") or {}
    lifetime = cache.get("ifa_valid", _FOREVER)
    address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return Held(
        address=ipaddress.ip_address(address),
        prefix=message["prefixlen"],
        interface=_name(message["index"]),
        lifetime=None if lifetime == _FOREVER else lifetime,
    )


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # it went away between the dump and now
        return f"if{index}"


def _hint(code: int) -> str:
    return "add NET_ADMIN to cap_add of the container" if code == errno.EPERM else ""


async def hears_adverts(sources: Collection[Address], vrid: int, within: float) -> bool:
    """Tell whether a VRRP advert (RFC 5798) of `vrid` from one of `sources` arrives in time.

    keepalived ignores adverts while it is in FAULT; a raw socket sees them all the same.
    """
    family = socket.AF_INET if next(iter(sources)).version == 4 else socket.AF_INET6
    loop = asyncio.get_running_loop()
    wanted = {str(source) for source in sources}
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
    with suppress(TimeoutError), socket.socket(family, kind, _VRRP) as listener:
        async with asyncio.timeout(within):
            while True:
                packet, sender = await loop.sock_recvfrom(listener, 256)
                # IPv4 raw sockets deliver the IP header too, IPv6 ones do not (raw(7)).
                start = (packet[0] & 0x0F) * 4 if family == socket.AF_INET else 0
                if sender[0] in wanted and packet[start + 1 : start + 2] == bytes([vrid]):
                    return True
    return False
