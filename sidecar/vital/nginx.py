"""nginx as a program: kept running, reloaded when told, asked whether it answers."""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.core.nginx import first_emergency
from sidecar.core.report import ServiceState, StubStatus
from sidecar.host.broadcast import Broadcast
from sidecar.host.paths import Paths
from sidecar.host.supervise import Program, Supervisor
from sidecar.programs import nginx
from sidecar.programs.nginx import workers

log = logging.getLogger("nginx")

GRACES: Final = ((signal.SIGQUIT, 10.0), (signal.SIGTERM, 3.0))

DOWN_AFTER: Final = 0.3
"""Seconds without workers after which the VIP should move; a crashed nginx is back sooner."""

HUNG_AFTER: Final = 10.0
"""Seconds without an answer after which a running nginx is killed and started again."""


class Nginx:
    """Runs nginx.

    Given: where things lie, and `prepare`, which is awaited before each start.
    """

    def __init__(
        self,
        paths: Paths,
        changes: Broadcast,
        *,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._changes = changes
        self._probe = nginx.Probe(paths.nginx_status_socket)
        self._emergencies = nginx.Emergencies()
        self._started = self._emergencies.mark
        self._without_workers_since: float | None = time.monotonic()
        self._silent_since: float | None = None
        self.stub_status: StubStatus | None = None
        """nginx's own counters, as of the last answer."""
        self.supervisor = Supervisor(
            Program(
                name="nginx",
                command=lambda: nginx.command(paths.nginx),
                graces=GRACES,
                prepare=prepare,
                on_line=self._on_line,
                epitaph=lambda lines: first_emergency(lines) or next(reversed(lines), ""),
                passthrough=True,
                on_change=self._on_service,
            )
        )

    @property
    def down(self) -> bool:
        """It cannot serve: no workers, or never a configuration that it accepts."""
        since = self._without_workers_since
        return since is not None and time.monotonic() - since >= DOWN_AFTER

    @property
    def working(self) -> bool:
        """It has workers: before that a HUP would end it."""
        return self._without_workers_since is None

    @property
    def target(self) -> str:
        """Where nginx last answered, as an address of socat(1); empty if nowhere."""
        return self._probe.target

    async def ask(self, timeout: float) -> str | None:
        """Ask nginx whether it answers; return what is wrong, None if nothing is."""
        master = self.supervisor.pid
        if master is None:
            return self.supervisor.report().error or "it is not running"
        answer = await self._probe.ask(master, timeout=timeout)
        self.stub_status = answer.stub_status
        if answer.error is None:
            self._silent_since = None
            return None
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since >= HUNG_AFTER:
            self._silent_since = None
            self.supervisor.kill()
        if self._without_workers_since is not None:  # it tries for 2.5 s to get an address
            return next(iter(self._emergencies.since(self._started)), answer.error)
        return answer.error

    async def reload(self, *, overlap: bool) -> str | None:
        """Make nginx read its configuration again, verified; return why that failed.

        With `overlap` it does not wait until the earlier workers have ended.
        """
        master = self.supervisor.pid
        if master is None:  # it has died since, and its next start tells
            return "nginx is not running"
        return await nginx.reload(master, self._emergencies, overlap=overlap)

    def _on_line(self, line: str) -> None:
        self._emergencies.hear(line)
        log.info("%s", line)

    def _on_service(self, state: ServiceState) -> None:
        loop = asyncio.get_running_loop()
        match state:
            case ServiceState.STARTING:
                self._started = self._emergencies.mark
                self._awaiting = loop.create_task(self._await_workers(), name="nginx workers")
            case ServiceState.BACKOFF:
                self._without_workers_since = time.monotonic()
                loop.call_later(DOWN_AFTER, self._changes.announce)
            case _:
                pass
        self._changes.announce()

    async def _await_workers(self) -> None:
        """Notice the first worker: a program that has just been started serves soon, or never."""
        while self.supervisor.state in (ServiceState.STARTING, ServiceState.RUNNING):
            master = self.supervisor.pid
            if master is not None and workers.serving(master):
                self._without_workers_since = None
                self._changes.announce()
                return
            await asyncio.sleep(0.02)
