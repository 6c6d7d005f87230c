"""Where a running nginx listens, whatever its configuration says."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

_TABLES: Final = ("tcp", "tcp6")
_LISTEN: Final = "0A"
"""State of proc_net_tcp(5)."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket; the inode tells it from a later one on the same port."""

    inode: int
    host: str
    """Where to connect: the loopback address if it listens everywhere."""
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """The address family for a socket that connects to it."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def target(self) -> str:
        """The same for socat(1)."""
        return f"TCP6:[{self.host}]:{self.port}" if ":" in self.host else f"TCP4:{self}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def sockets(pid: int, proc: Path) -> frozenset[int]:
    """Return the inodes of all sockets that a process holds open."""
    return frozenset(_sockets(proc / str(pid) / "fd"))


def listeners(inodes: frozenset[int], proc: Path) -> tuple[Listener, ...]:
    """Return those of the sockets that listen on TCP."""
    return tuple(
        listener
        for table in _TABLES
        for listener in _read(proc / "net" / table)
        if listener.inode in inodes
    )


def _sockets(directory: Path) -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208 # each second: Path objects cost more
            with suppress(OSError):
                link = os.readlink(f"{directory}/{name}")  # noqa: PTH115 # as above
                if link.startswith("socket:["):
                    yield int(link[8:-1])


def _read(table: Path) -> Iterator[Listener]:
    # The kernel lists listening sockets first, so the thousands of a busy proxy are not read.
    with suppress(OSError), table.open() as lines:
        next(lines)
        for line in lines:
            fields = line.split()
            if fields[3] != _LISTEN:
                return
            address, _, port = fields[1].partition(":")
            yield Listener(int(fields[9]), _reachable(_decode(address)), int(port, 16))


def _decode(text: str) -> IPv4Address | IPv6Address:
    """Return an address of proc_net_tcp(5): words of 32 bits in the machine's order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words))


def _reachable(address: IPv4Address | IPv6Address) -> str:
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)
