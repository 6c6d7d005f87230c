"""Tells of late VRRP adverts; runs inside a host.

Usage: adverts.py SENDER SECONDS. Prints an empty line, then `TIME GAP LATE` for each advert that
comes more than SECONDS after the one before it, until standard input ends: the kernel's time of its
arrival (unix time), the seconds since the last one, and how much later this program ran.
"""

import socket
import struct
import sys
import threading
import time

VRRP = 112
TIMESTAMP = 35  # SO_TIMESTAMPNS_OLD


def main(sender: str, limit: float) -> None:
    """Print late adverts until the process ends."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP)
    listener.setsockopt(socket.SOL_SOCKET, TIMESTAMP, 1)
    print(flush=True)
    last = None
    while True:
        _, extra, _, source = listener.recvmsg(256, 64)
        ran = time.time()
        if source[0] != sender:
            continue
        seconds, nanoseconds = struct.unpack("qq", extra[0][2])
        came = seconds + nanoseconds / 1e9
        if last is not None and came - last > limit:
            print(f"{came:.3f} {came - last:.3f} {ran - came:.3f}", flush=True)
        last = came


threading.Thread(target=main, args=(sys.argv[1], float(sys.argv[2])), daemon=True).start()
sys.stdin.read()
