"""Takes what people ask of sync: brings what that needs, and lets the worker do it."""

from collections.abc import Callable
from functools import partial

from sidecar.errors import RefusedError
from sidecar.host.worker import Worker
from sidecar.sync.orders import Orders, outcome
from sidecar.sync.passes import Passes
from sidecar.sync.pulls import Pulls
from sidecar.sync.verify import Verifier


class Desk:
    """Carries out `ha sync`, `ha rollback` and `ha restore`; each returns what to print."""

    def __init__(
        self, orders: Orders, worker: Worker, passes: Passes, pulls: Pulls, verifier: Verifier
    ) -> None:
        self._orders, self._worker = orders, worker
        self._passes, self._pulls, self._verifier = passes, pulls, verifier

    async def sync(self, *, dry_run: bool) -> str:
        """Check everything now; with `dry_run` only tell what would be done."""
        if dry_run:
            return await self._worker.do(self._orders.forecast)
        await self._passes.once()
        return outcome(self._passes.engine.report(next_check=0.0))

    async def hold(self) -> str:
        """Stop sync on this node until `release`."""
        return await self._worker.do(self._orders.hold)

    async def release(self) -> str:
        """End `hold`, or approve what a guard holds now; return which it was."""
        said = await self._worker.do(self._orders.release)
        self._passes.wake()
        if said is not None:
            return said
        if aside := self._passes.engine.aside:
            return await self.rollback(aside[-1].snapshot)
        raise RefusedError("cannot release: nothing is held that a release ends")

    async def rollback(self, snapshot: str) -> str:
        """Serve an earlier state again, everywhere."""
        target = await self._pulls.find(snapshot)
        await self._pulls.bring(target)
        return await self._change(partial(self._orders.rollback, target))

    async def adopt(self, whose: str) -> str:
        """Choose one of the configurations that cannot be merged, for every node."""
        return await self._change(partial(self._orders.adopt, whose))

    async def restore(self, snapshot: str, path: str) -> str:
        """Bring back what an earlier state had at a path, everywhere."""
        source = await self._pulls.find(snapshot)
        try:
            await self._pulls.bring(source)
        except RefusedError:
            if not await self._worker.do(partial(self._orders.has, source, path)):
                raise
        return await self._change(partial(self._orders.restore, source, path))

    async def clear(self, path: str) -> str:
        """Take a path off the list of conflicts."""
        return await self._worker.do(partial(self._orders.clear, path))

    async def bring(self, snapshot: str) -> str:
        """Make a snapshot whole that is not."""
        name = await self._pulls.find(snapshot)
        await self._pulls.bring(name)
        return f"snapshot {name[:12]} is whole"

    async def verify(self, *, gently: bool = False) -> str:
        """Read all of the history again, and bring what is damaged."""
        try:
            return await self._verifier.verify(gently=gently)
        finally:
            self._passes.wake(full=True)

    async def _change(self, order: Callable[[], str]) -> str:
        try:
            return await self._worker.do(order)
        finally:
            self._passes.wake()
