"""A reload that is verified: nginx says nothing when a new configuration could not take over."""

import asyncio
import os
import signal
from collections import deque
from pathlib import Path
from typing import Final

from sidecar.core.nginx import emergency
from sidecar.programs.nginx import workers

RELOADED_WITHIN: Final = 5.0
"""Seconds; nginx itself tries for 2.5 s to get an address that another process holds."""

_PAUSE: Final = 0.02

_LAST_TRY: Final = "still could not bind()"
_TRYING: Final = "[emerg] bind() to"


class Emergencies:
    """The `[emerg]` lines of a running nginx: hand each line of its output to `hear`."""

    def __init__(self) -> None:
        self._count = 0
        self._lines: deque[str] = deque(maxlen=100)

    def hear(self, line: str) -> None:
        """Remember the line if it is one."""
        if complaint := emergency(line):
            self._count += 1
            self._lines.append(complaint)

    @property
    def mark(self) -> int:
        """The present moment, for `since`."""
        return self._count

    def since(self, mark: int) -> list[str]:
        """Return what came after the moment `mark`, oldest first."""
        count = min(self._count - mark, len(self._lines))
        return list(self._lines)[len(self._lines) - count :]


async def reload(
    master: int,
    emergencies: Emergencies,
    *,
    overlap: bool = False,
    timeout: float = RELOADED_WITHIN,
    proc: Path = workers.PROC,
) -> str | None:
    """Make nginx read its configuration again; return why that failed, None once it serves.

    It serves when workers run that were not there before and none of the earlier ones accepts any
    more; with `overlap` the first is enough, the other follows after the 100 ms that nginx gives
    them. After a failure the earlier ones go on with the earlier configuration.
    """
    before, mark = workers.serving(master, proc), emergencies.mark
    try:
        os.kill(master, signal.SIGHUP)
    except ProcessLookupError:
        return "nginx is not running"
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while loop.time() < deadline:
        await asyncio.sleep(_PAUSE)
        complaints = emergencies.since(mark)
        if complaints and _final(complaints):
            return complaints[0]
        now = workers.serving(master, proc)
        if now - before and (overlap or not now & before):
            return None
    if workers.serving(master, proc) - before:
        return None  # an earlier worker is stuck; that is not for the configuration to answer
    return next(iter(emergencies.since(mark)), f"no worker has loaded it after {timeout:g} s")


def _final(complaints: list[str]) -> bool:
    """Tell whether nginx has given up: it tries a busy address several times."""
    return any(
        _LAST_TRY in complaint or not complaint.startswith(_TRYING) for complaint in complaints
    )
