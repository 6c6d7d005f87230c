"""One connection to a peer, in either direction: states out, states in, until it ends."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sidecar.core import protocol
from sidecar.core.protocol import ProtocolError, Refusal
from sidecar.core.report import NodeState

PACE: Final = 1.0
"""Seconds between two states that say the same."""

SILENCE: Final = 3.0
"""Seconds without a state after which a connection is given up and a peer is not linked."""

GREETING: Final = 5.0
"""Seconds that a new connection has for its first state."""


class Link:
    """A stream of states both ways.

    Given: the streams, `current` for the state to send, and `receive` for each state that came in,
    which raises ProtocolError to refuse it. The node that was called is `answering`: it speaks
    second, so that a caller who is refused never sees a state.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        current: Callable[[], NodeState],
        receive: Callable[[NodeState], None],
        answering: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._current = current
        self._receive = receive
        self._news = asyncio.Event()
        self._may_speak = asyncio.Event()
        if not answering:
            self._may_speak.set()
        self.established: float | None = None
        """Monotonic time of the first state that was accepted."""
        self.refusal: Refusal | None = None
        """What the other side said if it did not want to go on."""

    def notify(self) -> None:
        """Send the current state at once."""
        self._news.set()

    def close(self) -> None:
        """End it; what was said is still sent."""
        self._writer.close()

    async def run(self) -> str:
        """Talk until the connection ends and return why; nothing if the other side closed it."""
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_all(), name="states to a peer")
            try:
                return await self._receive_all()
            except ProtocolError as error:
                self._writer.write(protocol.encode(Refusal(reason=str(error))))
                return str(error)
            finally:
                sender.cancel()

    async def _send_all(self) -> None:
        await self._may_speak.wait()
        with suppress(ConnectionError):  # the receiving half learns of it as well
            while True:
                self._news.clear()
                state = replace(self._current(), clock=time.time())
                self._writer.write(protocol.encode(state))
                await self._writer.drain()
                with suppress(TimeoutError):
                    async with asyncio.timeout(PACE):
                        await self._news.wait()

    async def _receive_all(self) -> str:
        patience = GREETING
        while True:
            try:
                async with asyncio.timeout(patience):
                    line = await self._next_line()
            except TimeoutError:
                return f"silent for {patience:g} s"
            if not line:
                return ""
            message = protocol.decode(line)
            if isinstance(message, Refusal):
                self.refusal = message
                return f"refused: {message.reason}"
            self._receive(message)
            if self.established is None:
                self.established = time.monotonic()
            self._may_speak.set()
            patience = SILENCE

    async def _next_line(self) -> bytes:
        """Return a whole line, or nothing at the end of the stream."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return b""
        except ValueError:
            raise ProtocolError("a line is too long") from None
        return line if line.endswith(b"\n") else b""
