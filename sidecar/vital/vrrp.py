"""keepalived as the daemon sees it: told by track files, heard through the fifo."""

import asyncio
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sidecar.core.report import Role, ServiceState, VrrpReport
from sidecar.core.vip.election import Standing, Verdict
from sidecar.core.vip.watchdog import Watchdog
from sidecar.errors import ProgramError
from sidecar.host import files as host_files
from sidecar.host.broadcast import Broadcast
from sidecar.host.descriptors import Reserve
from sidecar.host.supervise import Program, Supervisor
from sidecar.programs import keepalived

log = logging.getLogger("vrrp")
output = logging.getLogger("keepalived")

DUMP_EVERY: Final = 5.0

LOOK_EVERY: Final = 0.5
"""Seconds between two looks whether keepalived lives and obeys."""


class Vrrp:
    """Runs keepalived, tells it the verdicts and knows its role.

    Given: where its files lie, `render` for keepalived.conf (it may wait until there is an
    interface), `on_role` for each change of role, however short.
    """

    def __init__(
        self,
        files: keepalived.Files,
        changes: Broadcast,
        *,
        render: Callable[[], Awaitable[str]],
        on_role: Callable[[Role], None],
    ) -> None:
        self._files, self._changes = files, changes
        self._render = render
        self._on_role = on_role
        self._reserve = Reserve()
        self._untold: dict[Path, str | None] = {}
        """What could not be written, by file (None: removed); tried again at every beat."""
        self._fifo = -1
        self._unread = b""
        self._standing = Standing()
        self._told = Verdict(health=0, preference=0)
        self._watchdog = Watchdog(looked=time.monotonic())
        self._signs: dict[str, int] = {}
        """When the files that show keepalived's life were written (mtime, ns), by name."""
        self.state = Role.INIT
        """What keepalived says: FAULT also while it gives the VIP away."""
        self.role = Role.INIT
        """What this node is to everybody else: FAULT only for a fault."""
        self.since = 0.0
        """When the role changed last (monotonic clock)."""
        self.role_changes: Counter[str] = Counter()
        self._dumped: VrrpReport | None = None
        """What keepalived last wrote of itself; None while it does not."""
        self.supervisor = Supervisor(
            Program(
                name="keepalived",
                command=lambda: keepalived.command(files),
                environment=keepalived.environment(files),
                graces=keepalived.GRACES,
                prepare=self._prepare,
                on_line=self._hear,
                epitaph=keepalived.epitaph,
                on_change=self._on_service,
            )
        )

    def open(self) -> None:
        """Make the files that keepalived and the lease script need before they start."""
        self._files.directory.mkdir(parents=True, exist_ok=True)
        files = self._files
        for leftover in (files.master, files.fifo, files.probe, files.pulse, files.dump):
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
        self._told = verdict
        self._standing = self._standing.after(time.monotonic(), verdict)
        self._become(self.state)

    def beat(self) -> None:
        """Show the lease script that the daemon lives, and write what could not be written."""
        uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME))
        self._put(self._files.heartbeat, f"{uptime}\n")
        for path, content in tuple(self._untold.items()):
            self._put(path, content)

    def aim(self, probe: str) -> None:
        """Tell the lease script where nginx answers (a socat address; empty: nowhere)."""
        self._put(self._files.probe, f"{probe}\n" if probe else None)

    @property
    def counters(self) -> VrrpReport | None:
        """What keepalived wrote of itself some seconds ago, with the state that it has now."""
        return replace(self._dumped, role=self.state) if self._dumped else None

    @property
    def hangs(self) -> bool:
        """Whether keepalived shows no life or does not obey, and is being ended."""
        return self._watchdog.hangs

    async def guard(self) -> None:
        """End a keepalived that hangs, whenever that happens."""
        while True:
            self._watchdog = self._watchdog.after(
                time.monotonic(),
                running=self.supervisor.state is ServiceState.RUNNING,
                heard=self._shows_life(),
                obeys=self._obeys(),
            )
            if self._watchdog.hangs:
                self.supervisor.kill()
            elif self._watchdog.asks:
                self.supervisor.signal(keepalived.DUMP_SIGNAL)
            await asyncio.sleep(LOOK_EVERY)

    def restart(self) -> None:
        """End keepalived so that it starts again with a new configuration."""
        self.supervisor.signal(signal.SIGTERM)

    async def count(self) -> None:
        """Keep keepalived's own numbers fresh, until cancelled."""
        while True:
            self._dumped = await self._dump()
            await asyncio.sleep(DUMP_EVERY if self._dumped else LOOK_EVERY)

    async def _dump(self) -> VrrpReport | None:
        if self.supervisor.state is not ServiceState.RUNNING:
            return None
        host_files.remove(self._files.dump)
        self.supervisor.signal(keepalived.DUMP_SIGNAL)
        for _ in range(50):
            await asyncio.sleep(0.02)
            with suppress(FileNotFoundError, ProgramError):
                return keepalived.parse_dump(self._files.dump.read_text())
        return None

    def _obeys(self) -> bool:
        """Tell whether keepalived does what it is told; what it could not be told it need not."""
        unheeded = self._told.health and self.state is Role.MASTER
        return not unheeded or self._files.health in self._untold

    def _shows_life(self) -> bool:
        """Tell whether the lease script has run, or a dump was written, since the last call."""
        before = dict(self._signs)
        for file in (self._files.pulse, self._files.dump):
            with suppress(FileNotFoundError):
                self._signs[file.name] = file.stat().st_mtime_ns
        return self._signs != before

    async def _prepare(self) -> None:
        host_files.write(self._files.config, await self._render())

    def _hear(self, line: str) -> None:
        output.info("%s", keepalived.without_timestamp(line))
        if keepalived.deaf(line):  # it could be MASTER and never learn that it must not
            self.supervisor.kill("hears nothing of us")

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

    def _become(self, state: Role) -> None:
        self.state = state
        now = time.monotonic()
        role = self._standing.role(now, state)
        if role is self.role:
            return
        log.warning("%s (was %s)", role, self.role)
        self.role, self.since = role, now
        self.role_changes[role] += 1
        self._put(self._files.master, "" if role is Role.MASTER else None)
        self._on_role(role)
        self._changes.announce()

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
