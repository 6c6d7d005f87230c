"""Checks of what Docker gives the container, and of the disks."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from sidecar.core.doctor.facts import Facts
from sidecar.core.doctor.finding import Finding, Verdict, found

GROUP: Final = "container"

_LOW: Final = 0.05
"""Share of a disk."""
_FEW: Final = 128
"""Kernels before 5.11 give a user so many inotify instances."""
_FILE_MOUNT: Final = "mount the directory instead: a mounted file cannot be replaced in one step"


_found = partial(found, GROUP)


def capabilities(facts: Facts) -> Iterator[Finding]:
    """Check that the kernel lets the container do what it has to."""
    if facts.missing:
        names = ", ".join(facts.missing)
        yield _found("capabilities", Verdict.PROBLEM, f"lacks {names}", f"add to cap_add: {names}")
    else:
        yield _found("capabilities", Verdict.OK, "all present")
    if not facts.real_time:
        yield _found(
            "real time",
            Verdict.WARNING,
            "keepalived cannot run in real time: a very busy host may miss adverts",
            "add SYS_NICE to cap_add; if it is there already, the kernel of this host refuses: "
            "give the container `cpu_shares: 8192`",
        )


def users(facts: Facts) -> Iterator[Finding]:
    """Check that root here is root on the host."""
    if facts.remapped:
        fix = "set `userns_mode: host`, or remove userns-remap from the host's daemon.json"
        yield _found(
            "users", Verdict.PROBLEM, "Docker remaps users: the lease script cannot run", fix
        )
    else:
        yield _found("users", Verdict.OK, "root here is root on the host")


def places(facts: Facts) -> Iterator[Finding]:
    """Check that every directory that is written to can be, and has room."""
    for place in facts.places:
        check = f"directory {place.path}"
        low = place.size and place.free / place.size < _LOW
        room = f"{place.free // 2**20} MiB free"
        if not place.writable:
            fix = f"mount a volume or a tmpfs on {place.path}, as docker-compose.yml does"
            yield _found(check, Verdict.PROBLEM, "is not writable", fix)
        elif place.path == "/run" and not place.volatile:
            fix = "add /run to tmpfs: sockets and keys must not survive the container"
            yield _found(check, Verdict.WARNING, "is not a tmpfs", fix)
        elif low:
            yield _found(check, Verdict.WARNING, f"only {room}", "free space on that disk")
        else:
            yield _found(check, Verdict.OK, room)


def single_files(facts: Facts) -> Iterator[Finding]:
    """Check that no file below HA_SYNC_PATHS is mounted alone."""
    for path in facts.single_files:
        yield _found("mounts", Verdict.PROBLEM, f"{path} is mounted as a single file", _FILE_MOUNT)
    if not facts.single_files:
        yield _found("mounts", Verdict.OK, "no single file is mounted into the folders")


def watches(facts: Facts) -> Iterator[Finding]:
    """Check that the kernel tells of changes."""
    polled = facts.report.polled if facts.report is not None else ()
    fix = "sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288 on the host"
    if polled:
        text = f"polled every second instead: {', '.join(polled)}"
        yield _found("inotify", Verdict.WARNING, text, fix)
    elif facts.instances is None:
        yield _found("inotify", Verdict.UNKNOWN, "its limits cannot be read")
    elif facts.instances <= _FEW:
        text = f"{facts.instances} instances for all containers of this host"
        yield _found("inotify", Verdict.WARNING, text, fix)
    else:
        yield _found("inotify", Verdict.OK, f"{facts.instances} instances")
