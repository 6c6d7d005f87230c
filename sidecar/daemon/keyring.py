"""The keys of this node's sshd: which it takes, and which one it shows."""

import asyncio
import logging
import signal
from collections.abc import Iterable
from typing import Final

from sidecar.core import rotation
from sidecar.core.report import NodeState
from sidecar.core.settings import Identity, Settings
from sidecar.host.paths import Paths
from sidecar.host.supervise import Supervisor
from sidecar.programs import ssh
from sidecar.programs.ssh_keys import Keys, keys_from_aside

log = logging.getLogger("keys")

_NAMES: Final = ("new", "former")


class Keyring:
    """Derives the keys, installs them, and follows a change of HA_SECRET."""

    def __init__(self, settings: Settings, identity: Identity, paths: Paths) -> None:
        self._settings, self._identity, self._paths = settings, identity, paths
        self._keys: tuple[Keys, ...] = ()
        self.shown = len(settings.secrets) - 1
        """Which secret the peers are shown, by its place in HA_SECRET: the old one at first."""
        self.sshd = Supervisor(ssh.sshd(paths))
        self.installed = asyncio.Event()

    @property
    def digests(self) -> tuple[str, ...]:
        """What the peers are told of the keys that are taken; empty before they are installed."""
        return tuple(keys.digest for keys in self._keys)

    async def run(self) -> None:
        """Install the keys and keep sshd running."""
        secrets, port = self._settings.secrets, self._settings.link_port
        keys = await keys_from_aside(secrets)
        ssh.install(self._paths, self._identity, keys=keys, port=port, shown=self.shown)
        self._keys = keys
        self.installed.set()
        await self.sshd.run()

    def follow(self, peers: Iterable[NodeState]) -> bool:
        """Show the key that the linked peers take; connections that stand are not touched.

        Return whether it is another one than before.
        """
        wanted = rotation.shown(self.digests, peers, self.shown) if self._keys else self.shown
        if wanted == self.shown:
            return False
        self.shown = wanted
        log.info("showing the key of the %s secret", _NAMES[wanted])
        ssh.show(self._paths, self._keys[wanted])
        self.sshd.signal(signal.SIGHUP)
        return True
