"""Why folders are not synced: what was found in them, and the way out (DESIGN.md §7)."""

import os
import stat
from dataclasses import dataclass
from typing import Final

from sidecar.core.history.change import printable

Advice = tuple[str, str]
"""A cause and what to do about it."""

TOO_LONG: Final = ("its path is too long", "use fewer or shorter names")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something in the folders that keeps them from being synced."""

    path: str
    cause: str
    hint: str


def too_many_paths(limit: int) -> Advice:
    """Return what is wrong with more than `limit` paths."""
    return f"there are more than {limit:,} files and directories", _TOO_MUCH


def too_many_bytes(limit: int) -> Advice:
    """Return what is wrong with more than `limit` bytes."""
    return f"all files together have more than {limit // _MIB} MiB", _TOO_MUCH


_MIB: Final = 1024 * 1024
_TOO_MUCH: Final = "list smaller directories in HA_SYNC_PATHS, or leave some out by HA_SYNC_EXCLUDE"


def refusal(path: str, advice: Advice) -> Refusal:
    """Return the refusal of a path, fit for a line."""
    cause, hint = advice
    return Refusal(path=printable(path), cause=cause, hint=hint)


def no_root(root: str, error: OSError) -> Advice:
    """Return why a root cannot be walked through."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist", "mount a volume there, or correct HA_SYNC_PATHS"
    if os.path.islink(root):  # noqa: PTH114 - the way out is more than a bool
        target = printable(os.path.realpath(root))
        return "it is a symbolic link", f"list the directory itself in HA_SYNC_PATHS: {target}"
    if isinstance(error, NotADirectoryError):
        return "it is not a directory", "list the directory that holds it in HA_SYNC_PATHS"
    return unreadable(error)


def mounted(relative: str, *, directory: bool) -> Advice:
    """Return what is wrong with a mount point below a root; `relative` begins at that root."""
    leave_out = f"leave it out: HA_SYNC_EXCLUDE={printable(relative)}"
    if directory:
        return (
            "something else is mounted there: without it, its files would count as deleted",
            f"mount one directory for all, or {leave_out}/",
        )
    return (
        "it is a single-file bind mount, which keeps the old file when a new one takes its place",
        f"mount the directory that holds it, or {leave_out}",
    )


def special(relative: str, mode: int) -> Advice:
    """Return what is wrong with what is no file, link or directory."""
    kind = _SPECIAL.get(stat.S_IFMT(mode), "a device")
    where = f"move it out of the folder, or leave it out: HA_SYNC_EXCLUDE={printable(relative)}"
    return f"it is {kind}", where


_SPECIAL: Final = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def unreadable(error: OSError) -> Advice:
    """Return what is wrong where reading failed."""
    cause = f"it cannot be read: {error.strerror or error}"
    if isinstance(error, PermissionError):
        return cause, "cap_add of the container needs DAC_OVERRIDE; NFS needs no_root_squash"
    return cause, "look at the disk and at the container's volumes"
