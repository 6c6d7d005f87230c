"""Tells when addresses come to the NIC and leave it; runs inside a host.

Prints an empty line, then `TIME + ADDRESS` or `TIME - ADDRESS` for each event, until standard input
ends. The times are seconds of CLOCK_MONOTONIC.
"""

import socket
import struct
import sys
import threading
import time

GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
NEW, DELETED = 20, 21  # RTM_NEWADDR, RTM_DELADDR
ADDRESS, LOCAL = 1, 2  # IFA_ADDRESS, IFA_LOCAL


def address(message: bytes) -> str:
    """Return the address that an RTM_NEWADDR or RTM_DELADDR message is about."""
    family, found, offset = message[16], {}, 24
    while offset + 4 <= len(message):
        length, kind = struct.unpack_from("HH", message, offset)
        found[kind] = message[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return socket.inet_ntop(family, found.get(LOCAL) or found[ADDRESS])


def main() -> None:
    """Print what the kernel tells until the process ends."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.bind((0, GROUPS))
    known: set[str] = set()
    print(flush=True)
    while True:
        data, now = kernel.recv(65536), time.monotonic()
        while data:
            length, kind = struct.unpack_from("IH", data)
            name = address(data[:length])
            # A refreshed lifetime is announced as a new address.
            if kind == NEW and name not in known:
                known.add(name)
                print(now, "+", name, flush=True)
            elif kind == DELETED:
                known.discard(name)
                print(now, "-", name, flush=True)
            data = data[(length + 3) & ~3 :]


threading.Thread(target=main, daemon=True).start()
sys.stdin.read()
