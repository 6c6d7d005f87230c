"""How one part of the node learns that another may be different now."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress


class Broadcast:
    """Wakes whoever waits; what has changed, they look up themselves.

    Read `version` before looking, and wait for another one afterwards: then no change is missed.
    """

    def __init__(self) -> None:
        self.version = 0
        self._announced = asyncio.Event()

    def announce(self) -> None:
        """Say that something has changed."""
        self.version += 1
        self._announced.set()
        self._announced = asyncio.Event()

    async def wait_after(self, version: int, *, within: float | None = None) -> int:
        """Wait until the version is another one, for at most `within` seconds; return it."""
        if self.version == version:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await self._announced.wait()
        return self.version

    async def wait_for[T](self, probe: Callable[[], T], *, within: float) -> T:
        """Look at once and after each change until `probe` finds something, for some seconds.

        Return what it found last.
        """
        deadline = time.monotonic() + within
        while not (found := probe()) and (left := deadline - time.monotonic()) > 0:
            await self.wait_after(self.version, within=left)
        return found
