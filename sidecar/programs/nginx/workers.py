"""nginx's processes as /proc shows them."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")

_WORKER: Final = "nginx: worker process"
"""A worker's title once it is ready; a retiring one adds `is shutting down`."""

_NOT_RUNNING: Final = frozenset("TtZX")
"""States of proc_pid_stat(5): stopped, traced, zombie, dead."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for ever: a pid alone may be given to another one."""

    pid: int
    started: int
    """Clock ticks between boot and its start."""


def serving(master: int, proc: Path = PROC) -> frozenset[Identity]:
    """Return the workers that are ready and not retiring."""
    return frozenset(
        identity
        for pid in _children(master, proc)
        if _title(pid, proc) == _WORKER and (identity := _identity(pid, proc)) is not None
    )


def alive(master: int, proc: Path = PROC) -> bool:
    """Tell whether the master and at least one worker run: neither stopped nor dead."""
    return _runs(master, proc) and any(
        _runs(pid, proc) for pid in _children(master, proc) if _title(pid, proc) == _WORKER
    )


def _children(master: int, proc: Path) -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in (proc / f"{master}/task/{master}/children").read_text().split()]
    return []


def _title(pid: int, proc: Path) -> str:
    with suppress(OSError):
        return (proc / f"{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
    return ""


def _identity(pid: int, proc: Path) -> Identity | None:
    status = _status(pid, proc)
    return Identity(pid, int(status[19])) if status else None


def _runs(pid: int, proc: Path) -> bool:
    status = _status(pid, proc)
    return bool(status) and status[0] not in _NOT_RUNNING


def _status(pid: int, proc: Path) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the third on; the second may hold anything."""
    with suppress(OSError):
        return (proc / f"{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return []
