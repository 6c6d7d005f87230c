"""What is known of one peer, whichever connection brought it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from typing import Final

from sidecar.core.containers.fleet import PeerOffers
from sidecar.core.containers.site import Offer, from_peer
from sidecar.core.gossip import Gossip
from sidecar.core.protocol import ProtocolError, check_claim
from sidecar.core.report import NodeState, PeerReport
from sidecar.core.settings import Address
from sidecar.host.broadcast import Broadcast
from sidecar.peers.link import SILENCE, Link
from sidecar.programs.ssh_words import Failure

log = logging.getLogger(__name__)


DENIED_FOR: Final = 10.0
"""Seconds for which a peer's word counts that it does not know this node."""


class Way(Enum):
    """Who opened a connection, in the words of a log line."""

    OURS = "to"
    THEIRS = "from"


class Peer:
    """One of the other nodes.

    It announces when `report` would return something new, times aside. It is linked while its
    states arrive, on the connection that we opened or on its own.
    """

    def __init__(self, address: Address, *, own: Address, changes: Broadcast) -> None:
        self.address = address
        self.answered: Link | None = None
        """The newest link that the peer itself has opened."""
        self._own = own
        self._changes = changes
        self._state: NodeState | None = None
        self.gossip = Gossip()
        """The last gossip received from it."""
        self._offers: tuple[Offer, ...] = ()
        self._offered = 0.0
        self._received = 0.0
        self._skew: float | None = None
        self._errors = dict.fromkeys(Way, "")
        self._denied: float | None = None
        """When it last said that it does not know this node (monotonic clock)."""
        self._up = False
        self._expiry: asyncio.TimerHandle | None = None
        self._call_now = asyncio.Event()

    @property
    def linked(self) -> bool:
        """A state arrived within the last `SILENCE` seconds."""
        return self._up and time.monotonic() - self._received < SILENCE

    @property
    def error(self) -> str:
        """Why there is no connection; ours first, as we know more about it."""
        return self._errors[Way.OURS] or self._errors[Way.THEIRS]

    def report(self) -> PeerReport:
        """Return what is known now."""
        return PeerReport(
            node=str(self.address),
            linked=self.linked,
            state=self._state,
            age=None if self._state is None else time.monotonic() - self._received,
            clock_skew=self._skew,
            error=self.error,
            details=self.gossip.details,
            stranger=self._denied is not None and time.monotonic() - self._denied < DENIED_FOR,
        )

    def offers(self) -> PeerOffers:
        """Return the sites of its containers, as it told of them last."""
        return PeerOffers(node=str(self.address), linked=self.linked, offers=self._offers)

    def receive_sites(self, items: Sequence[object], clock: float) -> None:
        """Take its sites from either connection; raise ProtocolError if they are not valid."""
        try:
            offers = from_peer(items)
        except ValueError as error:
            raise ProtocolError(f"its sites are not valid: {error}") from None
        if 0 < self._offered - clock < SILENCE:  # the slower connection brings the same, later
            return
        self._offered = clock
        if offers != self._offers:
            self._offers = offers
            self._changes.announce()

    def receive(self, state: NodeState) -> None:
        """Take a state from either connection; raise ProtocolError if it is not the peer's own."""
        check_claim(state, sender=str(self.address), own=str(self._own))
        self._received = time.monotonic()
        self._expire_later()
        # Two connections may bring the same states; what the slower one brings is older.
        if self._state is not None and 0 < self._state.clock - state.clock < SILENCE:
            return
        changed = not self._up or self._state is None or differs(self._state, state)
        self._skew = state.clock - time.time()
        self._state = state
        if not state.containers:
            self._offers = ()
        if not self._up:
            self._up = True
            log.info("link to %s is up", self.address)
        if changed:
            self._changes.announce()

    def hear(self, gossip: Gossip) -> None:
        """Take its gossip."""
        if gossip != self.gossip:
            self.gossip = gossip
            self._changes.announce()

    def fail(self, way: Way, error: str) -> None:
        """Remember why there is no connection in that direction; log it if that is new."""
        if way is Way.OURS and error.startswith(Failure.DENIED.value):
            self._denied = time.monotonic()
        if error != self._errors[way]:
            self._errors[way] = error
            log.warning("cannot keep the link %s %s: %s", way.value, self.address, error)
            self._changes.announce()

    def recover(self, way: Way) -> None:
        """Forget the last failure: the connection in that direction is up."""
        if way is Way.OURS:
            self._denied = None
        if self._errors[way]:
            self._errors[way] = ""
            self._changes.announce()

    def call_now(self) -> None:
        """End the present pause between two tries to connect, or the next one."""
        self._call_now.set()

    async def pause(self, seconds: float) -> None:
        """Wait before the next try to connect."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._call_now.wait()
        self._call_now.clear()

    def _expire_later(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_later(SILENCE + 0.02, self._expire)

    def _expire(self) -> None:
        self._up = False
        cause = self.error or f"no state for {SILENCE:g} s"
        log.warning("link to %s is down: %s", self.address, cause)
        self._changes.announce()


def differs(old: NodeState, new: NodeState) -> bool:
    """Tell whether two states of a node differ in more than their time."""
    return replace(old, clock=0.0) != replace(new, clock=0.0)
