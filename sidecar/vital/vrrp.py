"""keepalived as the daemon sees it: told by track files, heard through the fifo."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from sidecar.core.election import Verdict
from sidecar.core.report import Role, ServiceState, VrrpReport
from sidecar.errors import ProgramError
from sidecar.host import files as host_files
from sidecar.host.descriptors import Reserve
from sidecar.host.supervise import Program, Supervisor
from sidecar.programs import keepalived

log = logging.getLogger("vrrp")
output = logging.getLogger("keepalived")


class Vrrp:
    """Runs keepalived, tells it the verdicts and knows its role.

    Given: where its files lie, `render` for keepalived.conf (it may wait until there is an
    interface), `on_role` for each change of role.
    """

    def __init__(
        self,
        files: keepalived.Files,
        *,
        render: Callable[[], Awaitable[str]],
        on_role: Callable[[Role], None],
    ) -> None:
        self._files = files
        self._render = render
        self._on_role = on_role
        self._reserve = Reserve()
        self._untold: dict[Path, str | None] = {}
        """What could not be written, by file (None: removed); tried again at every beat."""
        self._fifo = -1
        self._unread = b""
        self.role = Role.INIT
        self.role_changes: Counter[str] = Counter()
        self.supervisor = Supervisor(
            Program(
                name="keepalived",
                command=lambda: keepalived.command(files),
                environment=keepalived.environment(files),
                graces=keepalived.GRACES,
                prepare=self._prepare,
                on_line=lambda line: output.info("%s", keepalived.without_timestamp(line)),
                on_change=self._on_service,
            )
        )

    def open(self) -> None:
        """Make the files that keepalived and the lease script need before they start."""
        self._files.directory.mkdir(parents=True, exist_ok=True)
        for leftover in (self._files.master, self._files.fifo, self._files.probe):
            host_files.remove(leftover)
        self.tell(Verdict(health=0, preference=0))
        self.beat()
        os.mkfifo(self._files.fifo, 0o600)
        # Held open for writing too, or every exit of keepalived would leave an endless end of file.
        self._fifo = os.open(self._files.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._fifo, self._read)

    def close(self) -> None:
        """Stop listening."""
        if self._fifo >= 0:
            asyncio.get_running_loop().remove_reader(self._fifo)
            os.close(self._fifo)
            self._fifo = -1
        self._reserve.close()

    def tell(self, verdict: Verdict) -> None:
        """Hand a verdict to keepalived."""
        self._put(self._files.health, f"{verdict.health}\n")
        self._put(self._files.preference, f"{verdict.preference}\n")

    def beat(self) -> None:
        """Show the lease script that the daemon lives, and write what could not be written."""
        uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME))
        self._put(self._files.heartbeat, f"{uptime}\n")
        for path, content in tuple(self._untold.items()):
            self._put(path, content)

    def aim(self, probe: str) -> None:
        """Tell the lease script where nginx answers (a socat address; empty: nowhere)."""
        self._put(self._files.probe, f"{probe}\n" if probe else None)

    def restart(self) -> None:
        """End keepalived so that it starts again with a new configuration."""
        self.supervisor.signal(signal.SIGTERM)

    async def dump(self) -> VrrpReport | None:
        """Return what keepalived says of itself; None while it does not run or does not say."""
        if self.supervisor.state is not ServiceState.RUNNING:
            return None
        host_files.remove(self._files.dump)
        self.supervisor.signal(keepalived.DUMP_SIGNAL)
        for _ in range(10):
            await asyncio.sleep(0.02)
            with suppress(FileNotFoundError, ProgramError):
                return keepalived.parse_dump(self._files.dump.read_text())
        return None

    async def _prepare(self) -> None:
        host_files.write(self._files.config, await self._render())

    def _on_service(self, state: ServiceState) -> None:
        if state not in (ServiceState.STARTING, ServiceState.RUNNING):
            self._become(Role.INIT)

    def _read(self) -> None:
        with suppress(BlockingIOError):
            self._unread += os.read(self._fifo, 65536)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            role = keepalived.parse_event(line.decode(errors="replace"))
            if role is not None:
                self._become(role)

    def _become(self, role: Role) -> None:
        if role is self.role:
            return
        log.warning("%s (was %s)", role, self.role)
        self.role = role
        self.role_changes[role] += 1
        self._put(self._files.master, "" if role is Role.MASTER else None)
        self._on_role(role)

    def _put(self, path: Path, content: str | None) -> None:
        """Write or remove a file that keepalived or its script reads; never fail for good."""
        try:
            if content is None:
                host_files.remove(path)
            else:
                self._reserve.run(partial(host_files.write, path, content))
        except OSError as error:
            if path not in self._untold:
                log.error("cannot write %s, trying again: %s", path, error.strerror)  # noqa: TRY400
            self._untold[path] = content
            return
        if path in self._untold:
            del self._untold[path]
            log.info("can write %s again", path)
