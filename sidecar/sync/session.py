"""A connection to a peer that is kept for bulk: what is moved over it never delays the link."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.errors import ProgramError
from sidecar.host.process import Child
from sidecar.programs.ssh_words import explain

OPEN_WITHIN: Final = 5.0
"""Seconds for a new connection, log-in included."""


class Session:
    """ssh in the foreground, which others share by its socket.

    Given: its command and the socket that it makes. As our child it dies with us; one that has died
    is started anew by the next `open`.
    """

    def __init__(self, command: Sequence[str], socket: Path) -> None:
        self._command = command
        self._socket = socket
        self._ssh: Child | None = None
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Make sure that there is a connection.

        Raise ProgramError, whose message is ssh's reason alone, if there can be none.
        """
        async with self._lock:
            if self._ssh is None or self._ssh.returncode is not None:
                await self._end()
                await self._begin()

    async def close(self) -> None:
        """End the connection and what goes over it."""
        async with self._lock:
            await self._end()

    async def _begin(self) -> None:
        ssh = self._ssh = await Child.start(self._command, on_line=lambda _line: None)
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WITHIN):
                while not self._socket.exists() and ssh.returncode is None:
                    await asyncio.sleep(0.005)
        if not self._socket.exists():
            await self._end()
            raise ProgramError(
                explain(tuple(ssh.last_lines)) or f"no connection within {OPEN_WITHIN:g} s"
            )

    async def _end(self) -> None:
        ssh, self._ssh = self._ssh, None
        if ssh is not None:
            await ssh.stop((signal.SIGTERM, 0.5))
        # With an old socket in its way ssh would not share the connection.
        self._socket.unlink(missing_ok=True)
