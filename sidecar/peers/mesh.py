"""The links to all peers: one connection to each, kept open, and those that they open to us."""

import asyncio
import logging
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import to_builtins
from tenacity import AsyncRetrying, retry_if_result, stop_never, wait_exponential, wait_random

from sidecar import __version__
from sidecar.core.containers.fleet import PeerOffers
from sidecar.core.containers.site import Offer
from sidecar.core.gossip import Gossip, pack
from sidecar.core.protocol import MAX_LINE, pages
from sidecar.core.report import NodeState, PeerReport
from sidecar.core.settings import Identity
from sidecar.core.timeline import Event
from sidecar.errors import ProgramError
from sidecar.host.broadcast import Broadcast
from sidecar.host.door import Door, listen_at
from sidecar.host.paths import Paths
from sidecar.host.process import Pipe
from sidecar.peers.link import Link, Talk
from sidecar.peers.peer import Peer, Way, differs
from sidecar.programs import ssh
from sidecar.programs.ssh_words import explain

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.2
"""Seconds between the first two tries to connect; doubled from then on."""

LONGEST_PAUSE: Final = 2.0
"""Seconds; no more, so that with ssh's own timeout a healed network is noticed within about 3 s."""

GOOD: Final = 5.0
"""Seconds that a link has to live for earlier failures to be forgotten."""

ROOM: Final = 8
"""Connections that a peer may have to us: one in use, others starting or ending."""


class Mesh:
    """The links of this node.

    Given: the identity of this node, the port of every node's sshd, and the paths. It announces
    when `peers()` would return something new, times aside. `ssh.install` comes first.
    """

    def __init__(self, identity: Identity, changes: Broadcast, *, port: int, paths: Paths) -> None:
        self._identity = identity
        self._port = port
        self._paths = paths
        self._changes = changes
        self._state = NodeState(node=str(identity.node), version=__version__)
        self._told = Gossip()
        self._packed: Mapping[str, Any] = {}
        self._sites: Sequence[bytes] = ()
        self._links: set[Link] = set()
        self._peers = tuple(
            Peer(address, own=identity.node, changes=changes) for address in identity.peers
        )

    def peers(self) -> tuple[PeerReport, ...]:
        """Return what is known of each peer, in the order of HA_NODES."""
        return tuple(peer.report() for peer in self._peers)

    def publish(self, state: NodeState) -> None:
        """Send `state` to all peers; at once if it has changed."""
        new = differs(self._state, state)
        self._state = state
        if new:
            self._notify()

    def tell(self, gossip: Gossip) -> None:
        """Send the gossip to all peers; at once if it has changed."""
        if gossip != self._told:
            self._told, self._packed = gossip, pack(gossip)
            self._notify()

    def events(self) -> tuple[Event, ...]:
        """Return the events that the peers have reported."""
        return tuple(event for peer in self._peers for event in peer.gossip.events)

    def offers(self) -> tuple[PeerOffers, ...]:
        """Return the sites of each peer's containers, in the order of HA_NODES."""
        return tuple(peer.offers() for peer in self._peers)

    def offer(self, offers: Sequence[Offer]) -> None:
        """Send the sites of this node's containers at once to all peers that take them."""
        self._sites = pages([to_builtins(offer) for offer in offers], time.time())
        self._notify()

    def complete(self) -> bool:
        """Tell whether all peers are linked."""
        return all(peer.linked for peer in self._peers)

    async def run(self) -> None:
        """Keep the links until this is cancelled; one that fails is logged and tried again."""
        self._paths.link_sockets.mkdir(parents=True, exist_ok=True)
        doors: list[Door] = []
        async with asyncio.TaskGroup() as group:
            try:
                for peer in self._peers:
                    doors.append(self._listen(peer, group))
                    group.create_task(self._keep_calling(peer), name=f"link to {peer.address}")
                await asyncio.Event().wait()
            finally:
                for door in doors:
                    door.close()

    def _listen(self, peer: Peer, group: asyncio.TaskGroup) -> Door:
        """Accept links from `peer`: sshd's forced command connects each to this socket."""

        def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(self._answer(peer, reader, writer), name=f"link from {peer.address}")

        def serve() -> asyncio.Protocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=MAX_LINE), answer)

        listener = listen_at(self._paths.link_sockets / f"{peer.address}.sock")
        # No lifetime: a link ends itself after some silence.
        return Door(listener, serve, name=f"link from {peer.address}", room=ROOM, lifetime=None)

    async def _answer(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        def receive(state: NodeState) -> None:
            peer.receive(state)
            if link.established is None:
                self._welcome(peer, link)
            else:
                peer.recover(Way.THEIRS)

        link = self._link(peer, reader, writer, receive=receive, answering=True)
        try:
            reason = await self._talk(link)
            if link.refusal is not None and link.established is None:
                log.warning("from %s: %s", peer.address, reason)
            elif reason:
                peer.fail(Way.THEIRS, reason)
        except Exception:  # the top of this link: the others live on
            log.exception("a bug broke the link from %s", peer.address)
        finally:
            writer.close()

    def _welcome(self, peer: Peer, link: Link) -> None:
        """Make this the only link that `peer` has to us, and try at once to open one to it."""
        if peer.answered is not None:
            peer.answered.close()
        peer.answered = link
        peer.call_now()

    async def _keep_calling(self, peer: Peer) -> None:
        """Connect to `peer` again and again; the pauses grow until a link has lived for `GOOD`."""
        calls = AsyncRetrying(
            retry=retry_if_result(operator.not_),
            stop=stop_never,
            wait=wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE)
            + wait_random(0, FIRST_PAUSE),
            sleep=peer.pause,
        )
        while True:
            try:
                await calls(self._call, peer)
            except ProgramError as error:
                peer.fail(Way.OURS, str(error))
                await peer.pause(LONGEST_PAUSE)
            except Exception:  # the top of this link: the others live on
                log.exception("a bug broke the link to %s", peer.address)
                await peer.pause(LONGEST_PAUSE)

    async def _call(self, peer: Peer) -> bool:
        """Connect to `peer`, talk until the end, and tell whether the link lived for `GOOD`."""

        def receive(state: NodeState) -> None:
            peer.receive(state)
            if link.established is not None:
                peer.recover(Way.OURS)

        command = ssh.client_command(
            self._paths,
            node=self._identity.node,
            peer=peer.address,
            port=self._port,
            command=ssh.LINK_COMMAND,
        )
        async with Pipe.open(command) as pipe:
            link = self._link(peer, pipe.stdout, pipe.stdin, receive=receive, answering=False)
            reason = await self._talk(link) or explain(await pipe.last_words())
        peer.fail(Way.OURS, reason or "the other node closed it")
        return link.established is not None and time.monotonic() - link.established >= GOOD

    def _link(
        self,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        receive: Callable[[NodeState], None],
        answering: bool,
    ) -> Link:
        talk = Talk(
            current=lambda: self._state,
            gossip=lambda: self._packed,
            sites=lambda: self._sites,
            receive=receive,
            hear=peer.hear,
            receive_sites=peer.receive_sites,
        )
        return Link(reader, writer, talk, answering=answering)

    async def _talk(self, link: Link) -> str:
        self._links.add(link)
        try:
            return await link.run()
        finally:
            self._links.discard(link)

    def _notify(self) -> None:
        for link in self._links:
            link.notify()
