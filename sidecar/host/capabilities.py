"""What the kernel lets this container do (capabilities(7))."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

NEEDED: Final[Mapping[str, str]] = {
    "CHOWN": "nginx gives its temporary directories to its workers",
    "DAC_OVERRIDE": "the configuration and its keys belong to another user",
    "FOWNER": "files of other users are given their modes",
    "KILL": "nginx's workers run as another user and must be ended",
    "NET_ADMIN": "keepalived adds and removes the VIP",
    "NET_BIND_SERVICE": "nginx listens on ports below 1024",
    "NET_RAW": "keepalived sends VRRP adverts and gratuitous ARP",
    "SETGID": "nginx, sshd and keepalived's script change their group",
    "SETUID": "nginx, sshd and keepalived's script change their user",
    "SYS_CHROOT": "sshd locks its unprivileged part in",
}
"""Every capability without which something of the product fails, and why."""

WANTED: Final[Mapping[str, str]] = {
    "SYS_NICE": "keepalived goes before everything else on a busy machine; optional",
}
"""What the compose file gives besides."""

_ALL_USERS: Final = ["0", "0", str(2**32 - 1)]
"""user_namespaces(7): every user is who it is on the host."""

_BITS: Final[Mapping[str, int]] = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
    "NET_ADMIN": 12,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
}


def missing(status: Path = Path("/proc/self/status")) -> Collection[str]:
    """Return the needed capabilities that this process does not have, in alphabetical order."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return [name for name in NEEDED if not effective >> _BITS[name] & 1]
    return list(NEEDED)


def users_are_mapped(uid_map: str, owner: int) -> bool:
    """Tell whether Docker maps users (userns-remap), by /proc/self/uid_map and the image's owner.

    The latter is what `userns_mode: host` leaves of it.
    """
    return uid_map.split() != _ALL_USERS or owner != 0


def remapped() -> bool:
    """Tell whether Docker maps the users of this container, or of its image."""
    return users_are_mapped(Path("/proc/self/uid_map").read_text(), Path("/usr").stat().st_uid)


def may_run_in_real_time() -> bool:
    """Tell whether a process here may go before all ordinary ones (sched(7)), by a try.

    It takes SYS_NICE. With CONFIG_RT_GROUP_SCHED and control groups of version 1 it takes a share
    of the group's time too, which Docker gives nobody.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True
