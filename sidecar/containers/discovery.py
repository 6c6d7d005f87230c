"""Keeps a list of the containers of this host that have a site, by Docker's events.

stream of events ─► a container's id ─► look at it ─┐
each 30 s, and after each new connection ─► look at all ─┴─► containers
"""

import asyncio
import logging
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_never
from tenacity.wait import wait_exponential

from sidecar.errors import MachineError
from sidecar.host.broadcast import Broadcast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sidecar.containers.engine import Engine
    from sidecar.core.containers.container import Container

log = logging.getLogger("containers")

LIST_EVERY: Final = 30.0
"""Seconds between two full listings of the containers, whatever events came."""

GATHER: Final = 0.05
"""Seconds in which events about one container become one."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries to reach Docker: the first one, and later ones at most."""


class Discovery:
    """Knows the containers; announces when they have changed, or Docker cannot be reached."""

    def __init__(self, changes: Broadcast) -> None:
        self._changes = changes
        self._found: dict[str, Container] = {}
        self.containers: tuple[Container, ...] | None = None
        """All that have a site, as last known; None before the first answer."""
        self.error = ""
        """Why Docker does not answer; empty if it does."""

    async def run(self, engine: "Engine") -> None:
        """Follow an engine until cancelled; what is known stays while it is away."""
        self._engine = engine
        while True:
            tries = AsyncRetrying(
                retry=retry_if_exception_type(MachineError),
                stop=stop_never,
                wait=wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
                before_sleep=self._failed,
            )
            await tries(self._follow)
            await asyncio.sleep(FIRST_PAUSE)  # it has ended silently, as when the engine restarts

    async def _follow(self) -> None:
        """Follow one stream of events to its end; raise MachineError if it cannot begin."""
        async with self._events() as events:
            await self._list()
            while True:
                changed = await self._gather(events)
                if changed is None:
                    return
                try:
                    await (self._look(changed) if changed else self._list())
                except MachineError as error:
                    self._note(error)
                    return

    async def _list(self) -> None:
        self._found = await asyncio.to_thread(self._engine.all)
        self._known()

    async def _look(self, changed: set[str]) -> None:
        for one in changed:
            container = await asyncio.to_thread(self._engine.one, one)
            if container is None:
                self._found.pop(one, None)
            else:
                self._found[one] = container
        self._known()

    def _known(self) -> None:
        now = tuple(self._found[one] for one in sorted(self._found))
        if now != self.containers or self.error:
            if self.error:
                log.info("Docker answers again")
            self.containers, self.error = now, ""
            self._changes.announce()

    def _failed(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        self._note(state.outcome.exception())

    def _note(self, error: BaseException | None) -> None:
        message = str(getattr(error, "message", error))
        if message != self.error:
            self.error = message
            log.warning("%s", error)
            self._changes.announce()

    async def _gather(self, events: "asyncio.Queue[str | None]") -> set[str] | None:
        """Return the ids of containers with events; none if none came for LIST_EVERY seconds.

        Return None at the end of the stream.
        """
        changed: set[str] = set()
        patience = LIST_EVERY
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(patience):
                    one = await events.get()
                if one is None:
                    return None
                changed.add(one)
                patience = GATHER
        return changed

    @asynccontextmanager
    async def _events(self) -> "AsyncIterator[asyncio.Queue[str | None]]":
        """Give a queue of the ids of containers with events; None follows the last one."""
        events: asyncio.Queue[str | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        stream = await asyncio.to_thread(self._engine.events)

        def tell(one: str | None) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(events.put_nowait, one)

        def follow() -> None:
            stream.follow(tell)
            tell(None)

        threading.Thread(target=follow, name="docker events", daemon=True).start()
        try:
            yield events
        finally:
            await asyncio.to_thread(stream.close)
