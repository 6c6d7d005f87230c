"""When the full check runs: cron's expression, with one run for all that were missed."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Final

from cronsim import CronSim

from sidecar.host import files

log = logging.getLogger("schedule")

LONGEST_SLEEP: Final = 30.0
"""Seconds: the clock may be set, and a machine may sleep."""

JITTER: Final = 0.1
"""Share of the time between two runs over which the nodes spread."""


_LONGEST: Final = 4096
"""Bytes of what is remembered."""


def next_run(expression: str, after: float, zone: tzinfo) -> float:
    """Return the unix time of the first run after `after`; daylight saving as cron(8) has it."""
    begin = datetime.fromtimestamp(after, zone)
    return float(next(CronSim(expression, begin)).timestamp())


@lru_cache(maxsize=1)  # it is asked for with every report
def _spread(expression: str, after: float, zone: tzinfo, share: float) -> float:
    """Return the time of the next run of a node that has this share of the jitter."""
    slot = next_run(expression, after, zone)
    following = next_run(expression, slot, zone)
    return slot + (following - slot) * JITTER * share


class Schedule:
    """The runs of one expression.

    Given: the expression, the time zone, where the last run is remembered, and this node's share
    (0 to 1) of the jitter.
    """

    def __init__(self, expression: str, zone: tzinfo, memory: Path, share: float) -> None:
        self._expression = expression
        self._zone = zone
        self._memory = memory
        self._share = share
        self._last = self._recall() or time.time()

    @property
    def next(self) -> float:
        """Unix time of the next run."""
        return _spread(self._expression, self._last, self._zone, self._share)

    async def runs(self) -> AsyncGenerator[None]:
        """Give an item whenever a run is due; however many were missed, they are one."""
        while True:
            self._last = min(self._last, time.time())  # the clock may have been wrong, and ahead
            wait = self.next - time.time()
            if wait > 0:
                await asyncio.sleep(min(wait, LONGEST_SLEEP))
                continue
            self._last = time.time()
            await asyncio.to_thread(self._remember)
            yield

    def _recall(self) -> float | None:
        """Return when it last ran; None where that cannot be read, or cannot be."""
        with suppress(OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            last = float(json.loads(files.read(self._memory, _LONGEST))["last"])
            if 0 <= last <= time.time():
                return last
        return None

    def _remember(self) -> None:
        try:
            files.write(self._memory, json.dumps({"format": 1, "last": self._last}))
        except OSError as error:
            log.warning("cannot keep %s: %s", self._memory, error.strerror)
