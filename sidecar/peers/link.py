"""One connection to a peer, in either direction: states out, states in, until it ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from sidecar.core import protocol
from sidecar.core.containers.site import MOST_SITES
from sidecar.core.gossip import Gossip
from sidecar.core.protocol import Page, ProtocolError, Refusal
from sidecar.core.report import NodeState

log = logging.getLogger(__name__)

PACE: Final = 1.0
"""Seconds after which an unchanged state is sent again."""

SILENCE: Final = 3.0
"""Seconds without a state after which a connection is closed and a peer is not linked."""

GREETING: Final = 5.0
"""Seconds within which the first state must arrive on a new connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What a link sends, and who is given what it receives."""

    current: Callable[[], NodeState]
    gossip: Callable[[], Mapping[str, Any]]
    """What is sent along with the state when it has changed."""
    sites: Callable[[], Sequence[bytes]]
    """The lines with our sites (`protocol.pages`); none before they are known."""
    receive: Callable[[NodeState], None]
    """Called with each state received; raises ProtocolError to refuse it."""
    hear: Callable[[Gossip], None]
    receive_sites: Callable[[Sequence[object], float], None]
    """Called with all sites of the peer, unchecked, and since when it has them; as `receive`."""


class Link:
    """States in both directions, and sites to nodes that take them.

    Given: the streams, and what to send on them. The node that accepted the connection is
    `answering`: it sends second, so that a caller that is refused never sees a state.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        talk: Talk,
        *,
        answering: bool,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._talk = talk
        self._takes_sites = False
        self._pages: list[object] = []
        self._deaf = False
        self._news = asyncio.Event()
        self._may_speak = asyncio.Event()
        if not answering:
            self._may_speak.set()
        self.established: float | None = None
        """Monotonic time of the first state that was accepted."""
        self.refusal: Refusal | None = None
        """Why the other side refused to go on, if it did."""

    def notify(self) -> None:
        """Send the current state at once."""
        self._news.set()

    def close(self) -> None:
        """Close it; what was written is still sent."""
        self._writer.close()

    async def run(self) -> str:
        """Send and receive until the connection ends; return why, nothing if the peer closed it."""
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(self._send_all(), name="states to a peer")
            try:
                return await self._receive_all()
            except ProtocolError as error:
                self._writer.write(protocol.encode(Refusal(refused=str(error))))
                return str(error)
            finally:
                sender.cancel()

    async def _send_all(self) -> None:
        await self._may_speak.wait()
        told: Mapping[str, Any] = {}
        told_sites: Sequence[bytes] = ()
        with suppress(ConnectionError):  # the receiving half learns of it as well
            while True:
                self._news.clear()
                state = replace(self._talk.current(), clock=time.time())
                gossip = self._talk.gossip()
                self._writer.write(protocol.encode(state, None if gossip is told else gossip))
                told = gossip
                if self._takes_sites and (sites := self._talk.sites()) is not told_sites:
                    told_sites = sites
                    self._writer.writelines(sites)
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
                return f"refused: {message.refused}"
            if isinstance(message, Page):
                self._gather(message)
                continue
            self._talk.receive(message)
            self._listen(line)
            if message.containers != self._takes_sites:
                self._takes_sites = message.containers
                self._news.set()
            if self.established is None:
                self.established = time.monotonic()
            self._may_speak.set()
            patience = SILENCE

    def _listen(self, line: bytes) -> None:
        """Take the gossip of a line; an error in it is logged once, and has no other effect."""
        try:
            if (gossip := protocol.decode_gossip(line)) is not None:
                self._talk.hear(gossip)
        except ProtocolError as error:
            if not self._deaf:
                log.warning("cannot understand a part of what a peer sent: %s", error)
            self._deaf = True

    def _gather(self, page: Page) -> None:
        """Take a page of sites; the last one makes them known."""
        if self.established is None:
            raise ProtocolError("sites come before the first state")
        self._pages = [*(() if page.first else self._pages), *page.sites]
        if len(self._pages) > MOST_SITES:
            raise ProtocolError(f"more than {MOST_SITES} sites")
        if page.last:
            self._talk.receive_sites(self._pages, page.clock)
            self._pages = []

    async def _next_line(self) -> bytes:
        """Return a whole line, or nothing at the end of the stream."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return b""
        except ValueError:
            raise ProtocolError("a line is too long") from None
        return line if line.endswith(b"\n") else b""
