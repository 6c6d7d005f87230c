"""The non-vital scope: parts that may crash without harm to nginx and the VIP."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from sidecar.core.backoff import Backoff

log = logging.getLogger(__name__)

RESET_AFTER = 60.0
"""Seconds of life after which earlier crashes of a part are forgotten."""


class Parts:
    """Runs parts, each restarted with backoff when it fails; counts the failures."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()
        self._backoff = Backoff(first=1.0, free=0)

    async def keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """Run `part` until cancelled; whatever it raises stays here."""
        streak = 0
        while True:
            begun = time.monotonic()
            try:
                await part()
                return
            except Exception:  # the top of a part: logged, counted, shown
                log.exception("part %s failed; serving is not affected", name)
            self.failures[name] += 1
            streak = 1 if time.monotonic() - begun > RESET_AFTER else streak + 1
            chance = random.random()  # noqa: S311 # no secret
            await asyncio.sleep(self._backoff.delay(streak, chance))
