"""Who has to be content with a configuration before it counts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sidecar.errors import ProgramError
from sidecar.host.process import run

log = logging.getLogger("sync")

HOOK_WITHIN: Final = 60.0


class Served(Protocol):
    """What serves the synced folders. An empty answer is a yes; any other says why not."""

    files: asyncio.Lock
    """Held by who changes the folders: nobody reads one half of the old and one of the new."""

    async def try_own(self) -> str:
        """Serve what a person has written here."""

    async def try_peers(self) -> str:
        """Serve what was just put in place: a peer's, or after a failure what was there before."""

    def well(self) -> str:
        """Tell whether it serves well at this moment."""


class ServedByNginx:
    """The bundled nginx: it serves what it accepts, and says why it does not.

    Given: `reload`, which makes it serve what is on the disk, `well`, and its lock of the files.
    """

    def __init__(
        self, reload: Callable[[], Awaitable[str]], well: Callable[[], str], files: asyncio.Lock
    ) -> None:
        self._reload = reload
        self.well = well
        self.files = files

    async def try_own(self) -> str:
        """Reload, verified."""
        return await self._reload()

    async def try_peers(self) -> str:
        """Reload, verified."""
        return await self._reload()


class ServedByHook:
    """A service of the user's: HA_HOOK_SYNC tells it, and its failure is a no."""

    def __init__(self, hook: str) -> None:
        self._hook = hook
        self.files = asyncio.Lock()

    async def try_own(self) -> str:
        """Accept it: who wrote it here has told the service."""
        return ""

    async def try_peers(self) -> str:
        """Run the hook."""
        if not self._hook:
            return ""
        try:
            done = await run(["/bin/sh", "-c", self._hook], timeout=HOOK_WITHIN)
        except ProgramError as error:
            return error.message
        return f"HA_HOOK_SYNC ended with {done.code}: {done.last_words}" if done.code else ""

    def well(self) -> str:
        """Believe so."""
        return ""
