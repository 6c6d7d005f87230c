"""The user's commands on changes of role: one at a time, bounded, never in the way of anything."""

import asyncio
import logging
from typing import TYPE_CHECKING

from sidecar.core.report import Role
from sidecar.core.settings import Settings
from sidecar.errors import ProgramError
from sidecar.host.process import run

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("hook")

TIMEOUT = 30.0
"""Seconds that a hook may take."""


class Hooks:
    """Queues the commands of HA_HOOK_* and runs them in order."""

    def __init__(self, settings: Settings) -> None:
        self._commands: Mapping[Role, str] = {
            Role.MASTER: settings.hook_master,
            Role.BACKUP: settings.hook_backup,
            Role.FAULT: settings.hook_fault,
        }
        self._queue: asyncio.Queue[Role] = asyncio.Queue()

    def announce(self, role: Role) -> None:
        """Queue the command for a new role, if there is one."""
        if self._commands.get(role):
            self._queue.put_nowait(role)

    async def run(self) -> None:
        """Run queued commands until cancelled; a failure is logged and changes nothing."""
        while True:
            role = await self._queue.get()
            command = self._commands[role]
            log.info("running HA_HOOK_%s", role)
            try:
                done = await run(
                    ["/bin/sh", "-c", command], timeout=TIMEOUT, environment={"HA_ROLE": role}
                )
            except ProgramError as error:
                log.error("HA_HOOK_%s failed: %s", role, error)  # noqa: TRY400 # its text says it all
                continue
            if done.code:
                log.error("HA_HOOK_%s failed: exit code %d: %s", role, done.code, done.last_words)
