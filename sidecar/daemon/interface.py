"""Which interface keepalived runs on: the one that holds the node's address."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sidecar.core.settings import Identity, Settings
from sidecar.daemon.startup import interface_of
from sidecar.host import capabilities
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs import keepalived

log = logging.getLogger("daemon")

FOLLOW_EVERY: Final = 2.0


class Interface:
    """Renders keepalived.conf, and notices when the node's address moves."""

    def __init__(
        self, settings: Settings, identity: Identity, paths: Paths, network: Network
    ) -> None:
        self._settings, self._identity = settings, identity
        self._paths, self._network = paths, network
        self._real_time = capabilities.may_run_in_real_time()
        self._rendered = ""
        """What keepalived was last rendered for; empty while that is being found out."""

    @property
    def advert_interval(self) -> float:
        """Seconds between two adverts of this node."""
        return keepalived.advert_interval(self._settings, real_time=self._real_time)

    async def render(self) -> str:
        """Return keepalived.conf; wait until some interface has the address."""
        self._rendered = self._settings.interface or await self._find()
        log.info(
            "keepalived runs %s, with an advert every %g s",
            "in real time" if self._real_time else "at ordinary priority",
            self.advert_interval,
        )
        return keepalived.render(
            self._settings, self._identity, self._paths, self._rendered, real_time=self._real_time
        )

    async def follow(self, restart: Callable[[], None]) -> None:
        """Call `restart` whenever the address has moved to another interface."""
        while True:
            now = await self._find()
            if self._rendered not in ("", now):
                log.warning("%s is on %s now: restarting keepalived", self._identity.node, now)
                restart()
                self._rendered = ""
            await asyncio.sleep(FOLLOW_EVERY)

    async def _find(self) -> str:
        return await interface_of(self._identity.node, self._network)
