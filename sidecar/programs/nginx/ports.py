"""Which ports of a configuration another program on this host holds."""

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.core.listens import Listen
from sidecar.programs.nginx import workers
from sidecar.programs.nginx.listeners import sockets

_LISTEN: Final = "0A"
"""State of proc_net_tcp(5)."""


def taken(wanted: Iterable[Listen], proc: Path = workers.PROC) -> Iterator[tuple[Listen, str]]:
    """Give each address that nginx could not have, with the name of the program that holds it.

    The name is empty where no process that we can see holds it. What an nginx that we can see
    holds is left out: that is our own.
    """
    for listen in wanted:
        if _busy(listen):
            holder = _holder(listen, proc)
            if holder != "nginx":
                yield listen, holder


def _busy(listen: Listen) -> bool:
    """Tell whether the address is in use: try to bind to it, for a moment."""
    kind = socket.SOCK_DGRAM if listen.udp else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(listen.address, listen.port, type=kind, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            if not listen.udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _holder(listen: Listen, proc: Path) -> str:
    four, six = ("udp", "udp6") if listen.udp else ("tcp", "tcp6")
    own, other = (six, four) if ":" in listen.host else (four, six)
    # A socket of the other family holds the address only where none of its own does.
    inodes = frozenset(_inodes(listen, proc / "net" / own)) or frozenset(
        _inodes(listen, proc / "net" / other)
    )
    for name in os.listdir(proc):  # noqa: PTH208 # names are all that is needed
        if name.isdigit() and sockets(int(name), proc) & inodes:
            with suppress(OSError):
                return (proc / name / "comm").read_text().strip()
    return ""


def _inodes(listen: Listen, table: Path) -> Iterator[int]:
    with suppress(OSError), table.open() as lines:
        next(lines)
        for fields in map(str.split, lines):
            port = int(fields[1].rpartition(":")[2], 16)
            if port == listen.port and (listen.udp or fields[3] == _LISTEN):
                yield int(fields[9])
