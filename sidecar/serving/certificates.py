"""How long the certificates that nginx serves with are valid."""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from sidecar.host.paths import Paths
from sidecar.host.watch import Signature, signature
from sidecar.programs import nginx
from sidecar.serving.containers import ContainersFile


class Certificates:
    """Reads them again when a file has changed; then hands them to `containers` and calls `tell`.

    Given: where things lie, and the folders with a user's configuration.
    """

    def __init__(
        self,
        paths: Paths,
        folders: tuple[Path, ...],
        containers: ContainersFile,
        tell: Callable[[], None],
    ) -> None:
        self._run, self._folders = paths.run, folders
        self._containers, self._tell = containers, tell
        self._named: tuple[Path, ...] = ()
        self._due = asyncio.Event()

    def look(self, named: Collection[str]) -> None:
        """Look again soon, also at what a configuration has named."""
        self._named = tuple(Path(path) for path in named)
        self._due.set()

    async def run(self) -> None:
        """Follow them until cancelled."""
        known: Signature = frozenset()
        while True:
            await self._due.wait()
            self._due.clear()
            outside = (path for path in self._named if not path.is_relative_to(self._run))
            places = (*self._folders, *outside)
            now = await asyncio.to_thread(_signature, places)
            if now != known:
                self._containers.known = await nginx.certificates(*places)
                known = now
                self._tell()


def _signature(places: tuple[Path, ...]) -> Signature:
    return signature(single=list(nginx.candidates(places)))
