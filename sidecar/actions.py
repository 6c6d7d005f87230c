"""All that a person may order, whichever part carries it out."""

from dataclasses import dataclass

from sidecar.errors import RefusedError
from sidecar.serving.service import Serving
from sidecar.sync.service import Sync
from sidecar.vital.commands import Commands


@dataclass(frozen=True, slots=True)
class Actions:
    """The control socket's orders; each returns what to print, or raises RefusedError."""

    commands: Commands
    syncing: Sync
    serving: Serving | None

    async def failover(self) -> str:
        """Give the VIP to a peer now."""
        return await self.commands.failover()

    async def drain(self) -> str:
        """Start maintenance."""
        return await self.commands.drain()

    async def resume(self) -> str:
        """End maintenance."""
        return await self.commands.resume()

    async def reload(self) -> str:
        """Load the configuration now."""
        if self.serving is None:
            raise RefusedError(
                "cannot reload: HA_NGINX=off", "reload the service of your own yourself"
            )
        return await self.serving.reload()

    async def sync(self, *, dry_run: bool) -> str:
        """Check and sync everything now."""
        return await self.syncing.orders.sync(dry_run=dry_run)

    async def release(self) -> str:
        """Let pass what the guards hold."""
        return await self.syncing.orders.release()

    async def bring(self, snapshot: str) -> str:
        """Bring what is missing here of a snapshot."""
        return await self.syncing.orders.bring(snapshot)

    async def rollback(self, snapshot: str) -> str:
        """Serve an earlier state again."""
        return await self.syncing.orders.rollback(snapshot)

    async def restore(self, snapshot: str, path: str) -> str:
        """Bring back what an earlier state had at a path."""
        return await self.syncing.orders.restore(snapshot, path)
