"""When passes are made: at each reason, one after the other, while pulls run beside them."""

import asyncio
import logging
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from sidecar.core.history.snapshot import Tree
from sidecar.core.sync_report import Hold
from sidecar.errors import SidecarError
from sidecar.host.worker import Worker
from sidecar.host.writers import CLOSES_WITHIN
from sidecar.sync.engine import Engine
from sidecar.sync.pulls import Pulls
from sidecar.sync.stuck import busy
from sidecar.sync.workspace import BusyError

log = logging.getLogger("sync")

BUSY_PAUSE: Final = 0.5
BUSY_TRIES: Final = 10

SOAK_STEP: Final = 0.1
"""Seconds between two looks at how something on trial serves."""

LOOK_EVERY: Final = 0.05
"""Seconds between two looks whether who writes in the folders has finished."""

FILL_EVERY: Final = 5.0
"""Seconds between two looks at what is missing of the past."""


class Passes:
    """The loop's side of sync: it knows when, and lets the worker do it.

    Given: the engine and its worker, the pulls, and what tells whether what is served is well.
    """

    def __init__(
        self, engine: Engine, worker: Worker, pulls: Pulls, well: Callable[[], str | None]
    ) -> None:
        self.engine = engine
        self._worker, self._pulls, self._well = worker, pulls, well
        self._wake = pulls.ended
        self._whole_at = -math.inf
        """When (monotonic) those have finished who are writing in the folders."""
        self.settled = asyncio.Event()
        """Set after a pass that left nothing to do."""

    def wake(self, *, full: bool = False) -> None:
        """Make a pass soon; a full one reads every file."""
        if full:
            self.engine.ask_for_all()
        self.settled.clear()
        self._wake.set()

    def expect_whole(self, at: float) -> None:
        """Begin no pass of our own before that (monotonic): somebody is writing in the folders."""
        self._whole_at = at

    def see(self, heads: Mapping[str, str | None]) -> None:
        """Learn the heads of the linked peers; a new one leads to a pass."""
        if self._pulls.see(heads):
            self.wake()

    async def run(self) -> None:
        """Make passes whenever there is a reason, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._make_passes(), name="sync passes")
                group.create_task(self._fill(), name="sync past")
        finally:
            await self._pulls.close()

    async def once(self) -> None:
        """Make a pass now, for somebody who waits for it and its pulls; try again what failed."""
        self._pulls.forgive()
        await self._worker.do(self.engine.forgive)
        coming, begun = self._pulls.of_heads, self._pulls.begun
        await self._pass_now()
        if coming or self._pulls.begun != begun:  # though it may have ended during the pass
            await self._pulls.wait()
            await self._pass_now()

    async def load(self) -> None:
        """Have the folders served as they are, without accepting them as a snapshot."""
        await self._worker.do(self.engine.load)

    async def between[T](self, work: Callable[[Hold | None, Tree | None], Awaitable[T]]) -> T:
        """Do something while nobody changes the folders.

        It is given the hold that forbids to load them, if any, and their tree, if it is consistent.
        """

        async def done(hold: Hold | None, tree: Tree | None) -> T:
            return await work(hold, tree)

        def between() -> T:
            return self.engine.between(lambda *seen: self._worker.ask(partial(done, *seen)))

        return await self._worker.do(between)

    async def put_back(self, error: str | None) -> bool:
        """Put the last good state in place of what a guard holds, or is refused with `error`.

        What it replaces is kept. Return whether anything was restored. Nginx waits for this: where
        nothing is missing it does not wait for a pass that is under way, but for the first one.
        """
        if error is None and not await asyncio.to_thread(_to_be_looked_at, self.engine):
            return False
        done = await self._worker.do(partial(self.engine.put_back, error))
        if done:
            self.wake()
        return done

    async def _make_passes(self) -> None:
        while True:
            await self._wait_for_writers()
            self._wake.clear()
            try:
                pause = await self._pass()
            except BusyError as error:
                pause = BUSY_PAUSE
                await self._worker.do(partial(self.engine.endure, error.path))
            await self._rest(pause)

    async def _wait_for_writers(self) -> None:
        """Give those who are writing the time to finish; a person's command does not wait."""
        deadline = time.monotonic() + CLOSES_WITHIN
        while (left := min(self._whole_at, deadline) - time.monotonic()) > 0:
            await asyncio.sleep(min(left, LOOK_EVERY))

    async def _pass(self) -> float | None:
        begun = self._pulls.begun
        pause = await self._worker.do(self.engine.make_pass)
        if self._pulls.begun != begun:
            self.settled.clear()
        if not (
            self.engine.stuck or self._wake.is_set() or self._pulls.of_heads or self.engine.on_trial
        ):
            self.settled.set()
        return pause

    async def _rest(self, pause: float | None) -> None:
        """Wait for a reason for the next pass, at most `pause` seconds."""
        end = time.monotonic() + pause if pause is not None else math.inf
        while (left := end - time.monotonic()) > 0:
            on_trial = self.engine.on_trial
            if on_trial and (error := self._well()):
                await self._worker.do(partial(self.engine.end_trial, error))
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(SOAK_STEP if on_trial else math.inf, left)):
                    await self._wake.wait()
                    return

    async def _pass_now(self) -> None:
        for _ in range(BUSY_TRIES):
            try:
                retry = await self._pass()
            except BusyError:
                await asyncio.sleep(BUSY_PAUSE)
            else:
                break
        else:
            self.wake()
            raise busy("cannot sync")
        if retry is not None:  # `run` may be asleep until somebody edits
            self.wake()

    async def _fill(self) -> None:
        """Bring what is missing of the past while there is nothing else to do."""
        while True:
            await self.settled.wait()
            try:
                await self._pulls.fill(await self._worker.do(self.engine.kept))
            except (SidecarError, OSError) as error:
                log.warning("cannot look for what is missing of the past: %s", error)
            await asyncio.sleep(FILL_EVERY)


def _to_be_looked_at(engine: Engine) -> bool:
    return engine.unseen or not all(map(os.path.lexists, engine.tree))
