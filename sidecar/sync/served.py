"""Who has to be content with a configuration before it counts."""

import asyncio
import logging
from collections.abc import Callable
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


class Reloads(Protocol):
    """An nginx that can be made to serve what is on the disk."""

    files: asyncio.Lock

    async def serve_current(self) -> str:
        """Serve what is there, and nothing else; return why that does not work."""

    async def serve_edit(self) -> str:
        """Serve what was written; the earlier configuration may serve a moment longer."""


class ServedByNginx:
    """The bundled nginx: it serves what it accepts, and says why it does not.

    Given: that nginx, and what tells whether it serves well.
    """

    def __init__(self, nginx: Reloads, well: Callable[[], str]) -> None:
        self._nginx = nginx
        self.well = well
        self.files = nginx.files

    async def try_own(self) -> str:
        """Reload; the soak that follows outlasts the overlap."""
        return await self._nginx.serve_edit()

    async def try_peers(self) -> str:
        """Reload; then it alone is served, as the head says."""
        return await self._nginx.serve_current()


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
