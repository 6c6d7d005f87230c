"""Tells when addresses come to the NIC and leave it; runs inside a host.

Prints an empty line, then `TIME + ADDRESS` or `TIME - ADDRESS` for each event, until standard input
ends. The times are seconds of CLOCK_MONOTONIC.
"""

import pathlib
import socket
import sys
import threading
import time

from tests.cluster.look import DELETED, NEW, address, messages

GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR


def waited() -> float:
    """Return the seconds that this thread has ever waited for a processor."""
    return int(pathlib.Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def main() -> None:
    """Print what the kernel tells until the process ends."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.bind((0, GROUPS))
    known: set[str] = set()
    print(flush=True)
    while True:
        before = waited()
        data, now = kernel.recv(65536), time.monotonic()
        now -= waited() - before
        for kind, message in messages(data):
            name = address(message)
            # A refreshed lifetime is announced as a new address.
            if kind == NEW and name not in known:
                known.add(name)
                print(now, "+", name, flush=True)
            elif kind == DELETED:
                known.discard(name)
                print(now, "-", name, flush=True)


threading.Thread(target=main, daemon=True).start()
sys.stdin.read()
