"""What a container shows without a program being started there, which costs 5 ms of a processor.

Runs inside a container, for `agent.py`.
"""

import hashlib
import http.client
import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

NEW, DELETED, DONE, DUMP = 20, 21, 3, 22  # RTM_NEWADDR, RTM_DELADDR, NLMSG_DONE, RTM_GETADDR
ASKS = 0x1 | 0x300  # NLM_F_REQUEST, NLM_F_DUMP
ADDRESS, LOCAL, CACHE_INFO = 1, 2, 6  # IFA_ADDRESS, IFA_LOCAL, IFA_CACHEINFO
GLOBAL = 0  # RT_SCOPE_UNIVERSE

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "directory",
}


def lifetimes(interface: str) -> dict[str, int]:
    """Return the addresses of global scope on an interface, with the seconds that they have."""
    index = socket.if_nametoindex(interface)
    found: dict[str, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("IHHIIB3xI", 24, DUMP, ASKS, 1, 0, socket.AF_UNSPEC, 0))
        while True:
            for kind, message in messages(kernel.recv(65536)):
                if kind == DONE:
                    return found
                if message[19] == GLOBAL and struct.unpack_from("I", message, 20) == (index,):
                    _, valid = struct.unpack_from("II", attributes(message)[CACHE_INFO])
                    found[address(message)] = valid


def carrier(interface: str) -> bool:
    """Tell whether the other end of an interface's cable is up."""
    return read(f"/sys/class/net/{interface}/carrier") == b"1\n"


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give each message of netlink with its type."""
    while data:
        length, kind = struct.unpack_from("IH", data)
        yield kind, data[:length]
        data = data[(length + 3) & ~3 :]


def address(message: bytes) -> str:
    """Return the address that an RTM_NEWADDR or RTM_DELADDR message is about."""
    found = attributes(message)
    return socket.inet_ntop(message[16], found.get(LOCAL) or found[ADDRESS])


def attributes(message: bytes) -> dict[int, bytes]:
    """Return the attributes of such a message by their types."""
    found, offset = {}, 24
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("HH", message, offset)
        found[kind] = message[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class UnixConnection(http.client.HTTPConnection):
    """A connection to the Unix socket that is named in place of a host."""

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def request(place: str, path: str, host: str | None = None) -> str:
    """Return what an HTTP server answers, be it an error; a place is a socket, or address:port."""
    kind = UnixConnection if place.startswith("/") else http.client.HTTPConnection
    with closing(kind(place, timeout=2)) as connection:
        connection.request("GET", path, headers={"Host": host} if host else {})
        return connection.getresponse().read().decode(errors="surrogateescape")


def processes(root: str) -> list[tuple[int, int, str, str]]:
    """Return id, parent's id, state and command line of each process that a root shows."""
    found = []
    for name in filter(str.isdigit, os.listdir(f"{root}/proc")):  # noqa: PTH208 # as shown there
        with suppress(FileNotFoundError, ProcessLookupError):  # gone since
            status = read(f"{root}/proc/{name}/stat").rpartition(b")")[2].split()
            command = read(f"{root}/proc/{name}/cmdline").translate(bytes.maketrans(b"\0\n", b"  "))
            text = command.decode(errors="replace").strip()
            found.append((int(name), int(status[1]), status[0].decode(), text))
    return found


def read(path: str) -> bytes:
    """Return the bytes of a file."""
    with open(path, "rb") as file:  # noqa: PTH123 # the path may not be UTF-8
        return file.read()


def tree(root: str) -> dict[str, tuple[str, int, str, int]]:
    """Return all that lies below a directory: its path there -> kind, mode, content, owner.

    The content is the SHA-256 of a file or the target of a link.
    """
    found = {}
    for path in below(root):
        with suppress(FileNotFoundError):  # gone since
            found[path[len(root) + 1 :]] = entry(path)
    return found


def below(directory: str) -> Iterator[str]:
    """Give every path below a directory."""
    with suppress(FileNotFoundError, NotADirectoryError):  # gone since
        for item in os.scandir(directory):
            yield item.path
            if item.is_dir(follow_symlinks=False):
                yield from below(item.path)


def entry(path: str) -> tuple[str, int, str, int]:
    """Return what lies at a path."""
    status = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "special")
    content = ""
    if kind == "file":
        content = hashlib.sha256(read(path)).hexdigest()
    elif kind == "link":
        content = os.readlink(path)  # noqa: PTH115 # as above
    mode = 0 if kind == "link" else stat.S_IMODE(status.st_mode)
    return kind, mode, content, status.st_uid


LOOKS: dict[str, Callable[..., Any]] = {
    look.__name__: look for look in (carrier, lifetimes, processes, request, tree)
}
"""What can be asked for, by name."""
