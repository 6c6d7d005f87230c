"""What is mounted where, as this process sees it: /proc/self/mountinfo (proc_pid_mountinfo(5))."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

MOUNTINFO: Final = Path("/proc/self/mountinfo")

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")


def mounts(mountinfo: Path = MOUNTINFO) -> Mapping[str, str]:
    """Return the type of file system at each mount point, of several at one point the uppermost."""
    found = {}
    for line in mountinfo.read_bytes().splitlines():
        fields, _, source = line.partition(b" - ")
        point = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), fields.split(b" ")[4])
        found[_text(point)] = _text(source.split(b" ")[0])
    return found


def containing(path: Path, mounted: Mapping[str, str]) -> str:
    """Return the mount point that `path` lies below, or is."""
    real = path.resolve()
    return next((str(one) for one in (real, *real.parents) if str(one) in mounted), "/")


def type_of(descriptor: int) -> str:
    """Return the type of the file system that an open file lies on; empty if that cannot be told.

    Unlike the device of a file, the mount is the right one on btrfs too.
    """
    with suppress(OSError):
        shown = Path(f"/proc/self/fdinfo/{descriptor}").read_bytes()
        mount = re.search(rb"^mnt_id:\s*(\d+)$", shown, re.MULTILINE)
        for line in MOUNTINFO.read_bytes().splitlines() if mount else ():
            fields, _, source = line.partition(b" - ")
            if mount and fields.split(b" ")[0] == mount[1]:
                return _text(source.split(b" ")[0])
    return ""


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
