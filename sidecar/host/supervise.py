"""Keeps one program running: start, watch, restart with backoff, give up, stop."""

import asyncio
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.report import ProcessReport, ServiceState
from sidecar.core.service import change
from sidecar.errors import ProgramError
from sidecar.host.process import Child

log = logging.getLogger(__name__)

STABLE_AFTER: Final = 1.0
"""Seconds of life after which a program counts as running."""

RESET_AFTER: Final = 10.0
"""Seconds of life after which earlier failures are forgotten."""

PREPARE_AGAIN: Final = 0.5
"""Seconds between two tries to prepare a start."""


class GaveUpError(ProgramError):
    """A program failed too often; the message holds its last words."""


async def _nothing() -> None:
    return None


@dataclass(kw_only=True)
class Program:
    """What to run and how: the part that differs between programs."""

    name: str
    command: Callable[[], Sequence[str]]
    graces: Sequence[tuple[signal.Signals, float]]
    """Signals that end it gently, each with the seconds to wait."""
    environment: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[], Awaitable[None]] = _nothing
    """Awaited before every start; may wait as long as a start would make no sense."""
    backoff: Backoff = field(default_factory=Backoff)
    on_line: Callable[[str], None] | None = None
    epitaph: Callable[[Sequence[str]], str] = lambda lines: lines[-1] if lines else ""
    """Says of its last lines which one tells why it ended."""
    passthrough: bool = False
    """Its standard output goes straight into the container's log, whatever becomes of us."""
    on_change: Callable[[ServiceState], None] = lambda _state: None


class Supervisor:
    """Runs one `Program` until it is stopped or gives up."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._log = logging.getLogger(program.name)
        self._state = ServiceState.STOPPED
        self._since = time.time()
        self._child: Child | None = None
        self._starts = 0
        self._error = ""

    @property
    def state(self) -> ServiceState:
        """The present state."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id while the program lives."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    def report(self) -> ProcessReport:
        """Return what is known of the program now."""
        return ProcessReport(
            name=self._program.name,
            state=self._state,
            pid=self.pid,
            restarts=max(0, self._starts - 1),
            since=self._since,
            error=self._error,
        )

    def signal(self, number: int) -> None:
        """Send a signal to the program if it lives."""
        if self._child is not None:
            self._child.signal(number)

    def kill(self, why: str = "hangs") -> None:
        """End the program and its group at once; it is started again."""
        if self._child is not None and self.pid is not None:
            self._log.error("%s: killing it", why)
            self._child.kill_group()

    async def run(self) -> None:
        """Keep the program running until cancelled; raise GaveUpError after too many failures."""
        failures = 0
        try:
            while True:
                await self._prepare()
                lived = await self._live_once()
                failures = 1 if lived >= RESET_AFTER else failures + 1
                self._change(ServiceState.BACKOFF)
                if self._program.backoff.exhausted(failures):
                    self._change(ServiceState.GAVE_UP)
                    raise GaveUpError(
                        f"cannot keep {self._program.name} running: {self._error}",
                        f"it failed {failures} times in a row",
                    )
                chance = random.random()  # noqa: S311 # no secret
                await asyncio.sleep(self._program.backoff.delay(failures, chance))
        finally:
            await self._stop()

    async def _prepare(self) -> None:
        """Prepare a start; what the machine refuses now (disk, descriptors) is tried again."""
        while True:
            try:
                await self._program.prepare()
            except (OSError, ProgramError) as error:
                cause = f"cannot prepare a start: {error}"
                if cause != self._error:
                    self._log.error("%s; trying again", cause)
                self._error = cause
                await asyncio.sleep(PREPARE_AGAIN)
            else:
                return

    async def _live_once(self) -> float:
        """Start the program, wait for its end and return the seconds that it lived."""
        self._change(ServiceState.STARTING)
        begun = time.monotonic()
        try:
            child = await Child.start(
                self._program.command(),
                on_line=self._program.on_line or self._log.info,
                environment=self._program.environment,
                passthrough=self._program.passthrough,
            )
        except ProgramError as error:
            self._error = error.message
            self._log.error("%s", error)
            return 0.0
        self._child = child
        self._starts += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(STABLE_AFTER):
                await child.wait()
        if child.returncode is None:
            self._error = ""
            self._change(ServiceState.RUNNING)
            await child.wait()
        await child.finish()
        self._error = _epitaph(child, self._program.epitaph(child.last_lines))
        self._log.error("ended: %s", self._error)
        return time.monotonic() - begun

    async def _stop(self) -> None:
        match self._state:
            case ServiceState.STARTING | ServiceState.RUNNING:
                self._change(ServiceState.STOPPING)
                if self._child is not None:
                    await self._child.stop(*self._program.graces)
                self._change(ServiceState.STOPPED)
            case ServiceState.BACKOFF:
                self._change(ServiceState.STOPPED)
            case ServiceState.GAVE_UP | ServiceState.STOPPING | ServiceState.STOPPED:
                pass

    def _change(self, state: ServiceState) -> None:
        self._state = change(self._state, state)
        self._since = time.time()
        self._program.on_change(state)


def _epitaph(child: Child, words: str) -> str:
    code = child.returncode
    assert code is not None
    cause = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
    return f"{cause}: {words}" if words else cause


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one, as keepalived has for its dump
        return f"signal {number}"
