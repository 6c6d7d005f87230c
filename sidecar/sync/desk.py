"""Takes what people ask of sync: brings what that needs, and lets the worker do it."""

from collections.abc import Callable
from functools import partial

from sidecar.errors import RefusedError
from sidecar.host.worker import Worker
from sidecar.sync.orders import Orders, outcome
from sidecar.sync.passes import Passes
from sidecar.sync.pulls import Pulls


class Desk:
    """Carries out `ha sync`, `ha rollback` and `ha restore`; each returns what to print."""

    def __init__(self, orders: Orders, worker: Worker, passes: Passes, pulls: Pulls) -> None:
        self._orders, self._worker = orders, worker
        self._passes, self._pulls = passes, pulls

    async def sync(self, *, dry_run: bool) -> str:
        """Check everything now; with `dry_run` only tell what would be done."""
        if dry_run:
            return await self._worker.do(self._orders.forecast)
        await self._passes.once()
        return outcome(self._passes.engine.report(next_check=0.0))

    async def release(self) -> str:
        """Let pass what a guard holds at this moment; return what that is."""
        said = await self._worker.do(self._orders.release)
        self._passes.wake()
        if said is not None:
            return said
        if aside := self._passes.engine.aside:
            return await self.rollback(aside[-1].snapshot)
        raise RefusedError("cannot release: nothing is held that a release lets pass")

    async def rollback(self, snapshot: str) -> str:
        """Serve an earlier state again, everywhere."""
        target = await self._pulls.find(snapshot)
        await self._pulls.bring(target)
        return await self._change(partial(self._orders.rollback, target))

    async def restore(self, snapshot: str, path: str) -> str:
        """Bring back what an earlier state had at a path, everywhere."""
        source = await self._pulls.find(snapshot)
        try:
            await self._pulls.bring(source)
        except RefusedError:
            if not await self._worker.do(partial(self._orders.has, source, path)):
                raise
        return await self._change(partial(self._orders.restore, source, path))

    async def bring(self, snapshot: str) -> str:
        """Make a snapshot whole that is not."""
        name = await self._pulls.find(snapshot)
        await self._pulls.bring(name)
        return f"snapshot {name[:12]} is whole"

    async def _change(self, order: Callable[[], str]) -> str:
        try:
            return await self._worker.do(order)
        finally:
            self._passes.wake()
