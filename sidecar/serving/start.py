"""The start of nginx: it waits for a configuration that nginx accepts.

put back what a guard holds ─► nginx -T ─► start
     ▲                           └─ refused: wait for an edit, or for ALONE_FOR ─┐
     └────────────────── put the last good one back ◄────────────────────────────┘
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from sidecar.host.broadcast import Broadcast
from sidecar.serving.ports import Folders, Program

STARTED_WITHIN: Final = 5.0
"""Seconds that a reload waits for an nginx that is just starting."""

RETRY_EVERY: Final = 2.0
"""Seconds between two looks at a configuration that was refused."""

ALONE_FOR: Final = 5.0
"""Seconds without another node that could serve, after which a start puts the last good one back:
until then who broke the configuration finds it as it was left.
"""

WAITS_AFTER: Final = 0.2
"""Seconds after which a start that asks for the last good state counts as waiting: sync may in turn
be waiting for the start.
"""


class NginxStart:
    """Finds a configuration for nginx to start with, and tells a reload when to wait for that.

    Given: the nginx to start; what returns why it refuses the files on disk, whether it has
    served before, and whether no other node could serve.
    """

    def __init__(
        self,
        program: Program,
        changes: Broadcast,
        *,
        folders: Callable[[], Folders],
        test: Callable[[], Awaitable[str | None]],
        served: Callable[[], bool],
        alone: Callable[[], bool],
    ) -> None:
        self._program, self._changes, self._folders = program, changes, folders
        self._test, self._served, self._alone = test, served, alone
        self.asks_sync = True
        """It asks sync for the last good state, or will."""
        self._waits = False
        """It waits for sync."""
        self._refused = False
        """nginx could not be started with the files on disk."""
        self._news = asyncio.Event()
        """Something may have changed."""

    async def find(self) -> None:
        """Return when nginx accepts the files on disk; put the last good ones there if need be."""
        alone_since: float | None = None
        while True:
            await self._put_back()
            self._news.clear()
            error = await self._test()
            if error is None:
                return
            if self._news.is_set():  # something else may lie there now
                continue
            self._refused = True
            self._changes.announce()
            now = time.monotonic()
            alone_since = (alone_since or now) if self._alone() else None
            # It has served before: whoever broke it since has been told.
            waited = alone_since is not None and now - alone_since >= ALONE_FOR
            if (self._served() or waited) and await self._put_back(error):
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_EVERY):
                    await self._news.wait()

    async def wait_until_working(self) -> bool:
        """Wait a moment until nginx works, unless it cannot with the files on disk."""
        self._refused = False
        self._news.set()
        await self._changes.wait_for(
            lambda: self._program.working or self._waits or self._refused, within=STARTED_WITHIN
        )
        return self._program.working

    def abandon(self) -> None:
        """Ask sync for nothing until the next start, as this one fails before that."""
        self.asks_sync = False

    async def _put_back(self, error: str | None = None) -> bool:
        """Put the last good state back; a start that waits too long for sync is not waited for."""
        waiting = asyncio.get_running_loop().call_later(WAITS_AFTER, self._begin_to_wait)
        self.asks_sync = True
        try:
            return await self._folders().put_back(error)
        finally:
            waiting.cancel()
            self.asks_sync = self._waits = False

    def _begin_to_wait(self) -> None:
        """Release whoever waits for this start."""
        self._waits = True
        self._changes.announce()
