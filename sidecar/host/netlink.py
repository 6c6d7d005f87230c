"""Netlink (rtnetlink(7)): what the kernel is asked and what it tells.

The kernel answers within the call that asks, so that a request never waits for an event.
"""

import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

ERROR: Final = 2
DONE: Final = 3

_REQUEST: Final = 0x1
_ACK: Final = 0x4
_DUMP: Final = 0x300
_DUMP_INTERRUPTED: Final = 0x10
REPLACE: Final = 0x100
CREATE: Final = 0x400

_SOL_NETLINK: Final = 270
_STRICT_CHECK: Final = 12
"""NETLINK_GET_STRICT_CHK (Linux 4.20): the kernel itself leaves out what was not asked for."""

_ATTACH_FILTER: Final = 26
_LOAD_HALF: Final = 0x28
_LOAD_BYTE: Final = 0x30
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06

_WITHIN: Final = 1.0
"""Seconds after which an answer is taken for lost: memory was short."""

_AT_ONCE: Final = 5000
"""Messages after which others get their turn."""

_SIZE: Final = 1 << 16
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NESTED_OR_SWAPPED: Final = 0xC000


@dataclass(frozen=True, slots=True)
class Message:
    """One message, without its header."""

    kind: int
    flags: int
    body: bytes


def pack(kind: int, value: bytes) -> bytes:
    """Return an attribute."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def unpack(data: bytes) -> Mapping[int, bytes]:
    """Return the values of attributes by their kinds."""
    found, offset = {}, 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & ~_NESTED_OR_SWAPPED] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Requests:
    """A socket for requests; every method raises OSError when the kernel refuses."""

    def __init__(self) -> None:
        self._socket = _open()
        self._socket.settimeout(_WITHIN)
        with suppress(OSError):
            self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> tuple[list[Message], bool]:
        """Return a whole table, and whether it changed meanwhile, so that an entry may lack."""
        found, whole = [], True
        for message in self._ask(kind, _DUMP, body):
            whole = whole and not message.flags & _DUMP_INTERRUPTED
            if message.kind == DONE:
                break
            found.append(message)
        return found, whole

    def get(self, kind: int, body: bytes) -> Message:
        """Return a single entry."""
        return next(self._ask(kind, 0, body))

    def change(self, kind: int, flags: int, body: bytes) -> None:
        """Change something."""
        next(self._ask(kind, _ACK | flags, body))

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[Message]:
        self._sequence += 1
        header = _HEADER.pack(16 + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)
        while True:
            for message, sequence in _parse(self._socket.recv(_SIZE)):
                if sequence != self._sequence:
                    continue
                if message.kind in (ERROR, DONE) and (code := _code(message.body)):
                    raise OSError(code, os.strerror(code))
                yield message


class Events:
    """A socket that hears of changes; `fileno` is readable when there is something."""

    def __init__(self, groups: int) -> None:
        self._socket = _open()
        self._socket.settimeout(0)
        self._lost: OSError | None = None
        with suppress(OSError):
            self._drop_all_routes_but_default_ones()
        self._socket.bind((0, groups))

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> Iterator[Message]:
        """Give what has been told; raise OSError (ENOBUFS) at the end if something was lost.

        Until the socket is empty the kernel goes on losing, without another error.
        """
        for _ in range(_AT_ONCE):
            try:
                data = self._socket.recv(_SIZE)
            except BlockingIOError:
                lost, self._lost = self._lost, None
                break
            except OSError as error:
                self._lost = error
                continue
            for message, _ in _parse(data):
                yield message
        else:
            lost = self._lost
        if lost is not None:
            raise lost

    def _drop_all_routes_but_default_ones(self) -> None:
        """Filter in the kernel (BPF, as in tcpdump): a router has thousands that come and go."""
        new, deleted = socket.htons(24), socket.htons(25)  # RTM_NEWROUTE, RTM_DELROUTE
        program = (
            (_LOAD_HALF, 0, 0, 4),  # nlmsg_type
            (_JUMP_IF_EQUAL, 1, 0, new),
            (_JUMP_IF_EQUAL, 0, 2, deleted),
            (_LOAD_BYTE, 0, 0, 17),  # rtm_dst_len
            (_JUMP_IF_EQUAL, 0, 1, 0),
            (_RETURN, 0, 0, 0xFFFFFFFF),
            (_RETURN, 0, 0, 0),
        )
        code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code)
        address = struct.pack("HP", len(program), ctypes.addressof(buffer))
        self._socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, address)


def _open() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)


def _parse(data: bytes) -> Iterator[tuple[Message, int]]:
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < 16:
            return
        yield Message(kind, flags, data[offset + 16 : offset + length]), sequence
        offset += (length + 3) & ~3


def _code(body: bytes) -> int:
    """Return the errno of an answer; 0: it went well."""
    return -int.from_bytes(body[:4], sys.byteorder, signed=True)
