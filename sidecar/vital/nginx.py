"""nginx as the daemon sees it: kept running, and reloaded when its configuration changes."""

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from sidecar.core.nginx import advice
from sidecar.core.report import NginxReport, ServiceState, StubStatus
from sidecar.core.settings import Settings
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.host.supervise import Program, Supervisor
from sidecar.host.watch import Signature, changes, signature
from sidecar.programs import nginx
from sidecar.programs.nginx import workers

log = logging.getLogger("nginx")

GRACES: Final = ((signal.SIGQUIT, 10.0), (signal.SIGTERM, 3.0))

DOWN_AFTER: Final = 0.3
"""Seconds without workers after which the VIP should move; a crashed nginx is back sooner."""

STARTED_WITHIN: Final = 5.0
"""Seconds that a reload waits for an nginx that is just starting."""

HUNG_AFTER: Final = 10.0
"""Seconds without an answer after which a running nginx is killed and started again."""

AFTER_SYNC: Final = 1.0
"""Seconds by which sync, which also watches the folder, goes first: then there is nothing to do."""

RETRY_EVERY: Final = 2.0
"""Seconds between two looks at a configuration that was refused at the start."""


class Nginx:
    """Runs nginx.

    Given: the settings, where things lie, `had`, which tells whether a path is part of the synced
    configuration, and `on_change` for every change of what `down` says.
    """

    def __init__(
        self,
        settings: Settings,
        paths: Paths,
        *,
        had: Callable[[Path], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._settings, self._paths = settings, paths
        self._folders = {paths.nginx, *map(Path, settings.sync_paths)}
        self._had = had
        self._on_change = on_change
        self._probe = nginx.Probe(paths.nginx_status_socket)
        self._emergencies = nginx.Emergencies()
        self._stub_status: StubStatus | None = None
        self._config_valid: bool | None = None
        self._config_error = ""
        self._certificates: Mapping[str, float] = {}
        self._reloads = Counter(success=0, failure=0)
        self._without_workers_since: float | None = time.monotonic()
        self._silent_since: float | None = None
        self._reloading = asyncio.Lock()
        self.files = asyncio.Lock()
        """Held by who changes many files: nginx is not told of half of them."""
        self._served: Signature | None = None
        """What lay on the disk when nginx last read it; None where that was not looked at."""
        self._read = float("-inf")
        """Monotonic time at which nginx last began to read what it serves."""
        self.supervisor = Supervisor(
            Program(
                name="nginx",
                command=lambda: nginx.command(paths.nginx),
                graces=GRACES,
                prepare=self._prepare,
                on_line=self._on_line,
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
    def target(self) -> str:
        """Where nginx last answered, as an address of socat(1); empty if nowhere."""
        return self._probe.target

    def report(self) -> NginxReport:
        """Return what is known of the served configuration."""
        return NginxReport(
            enabled=True,
            config_valid=self._config_valid,
            config_error=self._config_error,
            stub_status=self._stub_status,
            reloads=dict(self._reloads),
            certificates=self._certificates,
        )

    async def ask(self, timeout: float) -> str:
        """Ask nginx whether it answers; return what is wrong, or nothing."""
        master = self.supervisor.pid
        if master is None:
            return self._config_error or self.supervisor.report().error or "it does not run"
        answer = await self._probe.ask(master, timeout=timeout)
        self._stub_status = answer.stub_status
        if not answer.error:
            self._silent_since = None
            return ""
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        if now - self._silent_since >= HUNG_AFTER:
            self._silent_since = None
            self.supervisor.kill()
        return answer.error

    async def serve_current(self) -> str:
        """Make nginx serve what is on disk if it does not yet; return why it does not.

        Whatever goes wrong, nginx goes on with the configuration that it has.
        """
        async with self._reloading:
            if not await self._wait_for_workers():
                return self._config_error or "nginx does not run"
            found = await asyncio.to_thread(signature, *self._folders)
            if found == self._served and not self._config_error:
                return ""
            error = await self._reload()
            if not error:
                self._served = found
            return error

    async def serve_edit(self) -> str:
        """Make nginx serve what somebody is known to have written; return why it does not.

        It does not look for what has changed, nor wait until the earlier workers have ended.
        """
        async with self._reloading:
            if not await self._wait_for_workers():
                return self._config_error or "nginx does not run"
            self._served = None
            return await self._reload(overlap=True)

    async def watch(self) -> None:
        """Reload whenever something below the configuration directory changes."""
        synced = (
            self._settings.sync_on_change and str(self._paths.nginx) in self._settings.sync_paths
        )
        self._certificates = await nginx.certificates(self._paths.nginx)
        async for before in changes(self._paths.nginx):
            await asyncio.sleep(AFTER_SYNC if synced else 0.0)
            async with self.files:
                if self.supervisor.pid is not None and self._read < before:
                    await self.serve_current()
            self._certificates = await nginx.certificates(self._paths.nginx)

    async def _reload(self, *, overlap: bool = False) -> str:
        self._render()
        error = await nginx.complaint(self._paths.nginx)
        master = self.supervisor.pid
        if master is None:  # it has died since, and its next start tells
            return error or "nginx does not run"
        if not error:
            begun = time.monotonic()
            error = await nginx.reload(master, self._emergencies, overlap=overlap)
            self._read = self._read if error else begun
        self._reloads["failure" if error else "success"] += 1
        self._judge(error)
        if not error:
            log.info("reloaded: the new configuration is served")
        return error

    async def _wait_for_workers(self) -> bool:
        """Wait a moment for a starting nginx: before it has workers a HUP would end it."""
        deadline = time.monotonic() + STARTED_WITHIN
        while self._without_workers_since is not None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return self._without_workers_since is None

    async def _prepare(self) -> None:
        """Wait until there is a configuration that nginx accepts."""
        nginx.remove_sockets(self._paths.run)
        main = self._paths.nginx / "nginx.conf"
        if main.exists() or not self._had(main):  # else it is a volume that is not mounted
            for path in nginx.install_stock(self._paths.nginx, self._paths.config / "nginx"):
                log.info("added the stock file %s", path)
        while True:
            found = await asyncio.to_thread(signature, *self._folders)
            self._render()
            error = await nginx.complaint(self._paths.nginx)
            self._judge(error)
            if not error:
                self._served = found
                return
            self._on_change()
            await asyncio.sleep(RETRY_EVERY)

    def _render(self) -> None:
        for path, text in nginx.rendered(self._settings, self._paths).items():
            files.write(path, text)

    def _judge(self, error: str) -> None:
        if error and error != self._config_error:
            hint = advice(error)
            log.error("the configuration is refused: %s%s", error, f"; {hint}" if hint else "")
        self._config_valid = not error
        self._config_error = error

    def _on_line(self, line: str) -> None:
        self._emergencies.hear(line)
        log.info("%s", line)

    def _on_service(self, state: ServiceState) -> None:
        loop = asyncio.get_running_loop()
        match state:
            case ServiceState.STARTING:
                self._awaiting = loop.create_task(self._await_workers(), name="nginx workers")
            case ServiceState.BACKOFF:
                self._without_workers_since = time.monotonic()
                loop.call_later(DOWN_AFTER, self._on_change)
            case _:
                pass
        self._on_change()

    async def _await_workers(self) -> None:
        """Notice the first worker: a program that has just been started serves soon, or never."""
        while self.supervisor.state in (ServiceState.STARTING, ServiceState.RUNNING):
            master = self.supervisor.pid
            if master is not None and workers.serving(master):
                self._without_workers_since = None
                self._on_change()
                return
            await asyncio.sleep(0.02)
