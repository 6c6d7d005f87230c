"""Ends all processes of a container at the moment when a file gets its name; runs on the machine.

    kill.py PID DIRECTORY NAME COUNT

PID is that of the container's first process, DIRECTORY one inside it. It returns once it watches;
then it waits until NAME, any name if that is empty, has come for the COUNT-th time.
"""

import ctypes
import os
import signal
import struct
import sys

CREATED, MOVED_TO = 0x100, 0x80
HEAD = struct.Struct("iIII")
LONGEST = 60


def main(pid: int, directory: str, wanted: str, count: int) -> None:
    """Wait, and kill."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init()
    place = f"/proc/{pid}/root{directory}".encode()
    if libc.inotify_add_watch(watch, place, CREATED | MOVED_TO) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), directory)
    if os.fork():
        return
    signal.alarm(LONGEST)
    while count > 0:
        data = os.read(watch, 65536)
        while data:
            length = HEAD.size + HEAD.unpack_from(data)[3]
            name = data[HEAD.size : length].rstrip(b"\0").decode(errors="replace")
            # Temporary files come and go.
            count -= not name.startswith(".") and wanted in {"", name}
            data = data[length:]
    os.kill(pid, signal.SIGKILL)


main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
