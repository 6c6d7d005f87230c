"""What the kernel says of disks, mounts and interfaces."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.core.doctor.facts import Place
from sidecar.host.mounts import containing, mounts

_INSTANCES: Final = Path("/proc/sys/fs/inotify/max_user_instances")
_INTERFACES: Final = Path("/sys/class/net")
_UNIX: Final = Path("/proc/net/unix")

_MANAGERS: Final = {
    "systemd-networkd": b"/run/systemd/netif/",
    "NetworkManager": b"/run/NetworkManager/",
}
"""With `network_mode: host` the host's sockets are seen; each has some below that directory."""


def places(directories: Iterable[Path]) -> Iterator[Place]:
    """Give how each directory is; one that is not there cannot be written to."""
    mounted = mounts()
    for directory in dict.fromkeys(directories):
        size = free = 0
        with suppress(OSError):
            disk = os.statvfs(directory)
            size, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
        yield Place(
            path=str(directory),
            writable=directory.is_dir() and os.access(directory, os.W_OK),
            volatile=mounted.get(containing(directory, mounted)) == "tmpfs",
            size=size,
            free=free,
        )


def single_files(roots: Iterable[Path]) -> Iterator[str]:
    """Give the files below `roots` that are mounts of their own."""
    points = [Path(point) for point in mounts()]
    for root in roots:
        for point in points:
            if point != root and point.is_relative_to(root) and point.is_file():
                yield str(point)


def inotify_instances() -> int | None:
    """Return how many inotify instances a user may have; None if that cannot be read."""
    with suppress(OSError, ValueError):
        return int(_INSTANCES.read_text())
    return None


def is_up(interface: str) -> bool:
    """Tell whether an interface works, as far as its driver tells and that can be read."""
    with suppress(OSError):
        return (_INTERFACES / interface / "operstate").read_text().strip() in {"up", "unknown"}
    return True


def managers() -> tuple[str, ...]:
    """Return what manages the interfaces of this network namespace, by the sockets that it has."""
    found = _UNIX.read_bytes()
    return tuple(name for name, socket in _MANAGERS.items() if socket in found)
