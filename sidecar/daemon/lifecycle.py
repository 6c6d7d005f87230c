"""Starts everything in order, watches over two scopes, stops everything in order.

The vital scope is nginx, keepalived, health, the VIP and the node's decisions; whatever ends there
ends the container. All else (links, HTTP, hooks, sync) runs as parts that may crash and come back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final

from sidecar.core.report import Role
from sidecar.daemon.build import Components
from sidecar.daemon.orders import orders
from sidecar.errors import ExitCode, SidecarError
from sidecar.host.supervise import GaveUpError
from sidecar.web import app, control

log = logging.getLogger("daemon")

READY_WITHIN: Final = 5.0
"""Seconds that keepalived's start waits for the first verdict on nginx."""

LINKED_WITHIN: Final = 3.0
"""Seconds that keepalived's start waits for the links; a missing peer never blocks."""

SYNCED_WITHIN: Final = 10.0
"""Seconds that keepalived's start waits for what the linked peers have."""

EXCHANGE_EVERY: Final = 1.0

RELEASED_WITHIN: Final = 2.0
"""Seconds that keepalived has to take the VIP off the NIC at a stop."""


class Lifecycle:
    """One run of a node."""

    def __init__(self, node: Components) -> None:
        self._all = node
        self._vital: dict[str, asyncio.Task[None]] = {}
        self._rest: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    async def run(self, stopping: asyncio.Task[bool]) -> int:
        """Start everything, wait for `stopping` or the end of a vital task, stop everything."""
        stopping.add_done_callback(lambda _: self._ended.set())
        try:
            self._all.vips.release()
            self._all.vrrp.open()
            self._starting = asyncio.create_task(self._start(), name="start")
            self._starting.add_done_callback(self._on_started)
            await self._ended.wait()
        finally:
            await self._stop()
        return self._verdict()

    async def _start(self) -> None:
        node = self._all
        await node.sync.open()
        await node.node.open()
        if node.nginx is not None:
            self._keep_vital("nginx", node.nginx.supervisor.run())
        self._keep_vital("vip", node.vips.run())
        self._keep_vital("health", node.health.run())
        self._keep_vital("node", node.node.run())
        for name, part in self._make_parts().items():
            self._rest.append(asyncio.create_task(node.parts.keep(name, part), name=name))
        await self._wait_until_ready()
        self._keep_vital("keepalived", node.vrrp.supervisor.run())

    async def _wait_until_ready(self) -> None:
        """Wait for nginx's first verdict, the links, the more preferred nodes; never for long."""
        node, wait_for = self._all, self._all.changes.wait_for
        await wait_for(lambda: node.health.settled, within=READY_WITHIN)
        if not node.mesh.complete():
            log.info("waiting up to %g s for the links to the other nodes", LINKED_WITHIN)
        await wait_for(node.mesh.complete, within=LINKED_WITHIN)
        for peer in node.mesh.peers():
            if not peer.linked:
                log.warning("no link to %s yet: starting without it", peer.node)
        node.sync.see(node.mesh.peers())
        await node.sync.wait_settled(SYNCED_WITHIN)
        await self._wait_until_known()
        preferred = {str(address) for address in node.settings.nodes[: node.identity.index]}
        await wait_for(
            lambda: (
                not any(
                    peer.node in preferred and peer.role is Role.INIT for peer in node.node.linked()
                )
            ),
            within=LINKED_WITHIN,
        )

    async def _wait_until_known(self) -> None:
        """Wait as long as a node answers that does not have this one in its HA_NODES.

        It would not send us its adverts, and both would hold the VIP.
        """
        said = False
        while strangers := [peer.node for peer in self._all.mesh.peers() if peer.stranger]:
            if not said:
                log.error("waiting: this node is not in HA_NODES of %s", " and ".join(strangers))
            said = True
            await self._all.changes.wait_after(self._all.changes.version, within=1.0)

    async def _stop(self) -> None:
        """Stop in the order that keeps requests: VIP away, then nginx, then the rest."""
        log.info("stopping")
        async with AsyncExitStack() as last:
            last.callback(self._all.vrrp.close)
            last.push_async_callback(cancel, *self._rest)
            # It gives the VIP up at once and then needs a second more: nginx need not wait.
            releasing = self._vital.get("keepalived")
            if releasing is not None:
                releasing.cancel()
                if not await self._all.vips.gone(RELEASED_WITHIN):
                    self._all.vips.release()
            others = [task for task in self._vital.values() if task is not releasing]
            await cancel(*([self._starting] if self._starting else []), *others)
            await cancel(*([releasing] if releasing else []))

    def _make_parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        node, settings = self._all, self._all.settings
        listen = settings.http_listen or (str(node.identity.node), "127.0.0.1")
        given, socket = orders(node), node.paths.control_socket
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "sshd": node.keyring.run,
            "links": self._run_links,
            "exchange": self._exchange,
            "hooks": node.hooks.run,
            "http": lambda: app.serve(
                node.report,
                addresses=listen,
                port=settings.http_port,
                directory=node.paths.config / "page",
                zone=settings.timezone,
            ),
            "control": lambda: control.serve(node.report, given, socket=socket),
            "counters": node.vrrp.count,
            "disks": node.disks.run,
            "sync": node.sync.run,
            "adverts": node.adverts.run,
            "timeline": node.chronicle.run,
        }
        if settings.notify:
            parts["notify"] = node.notifier.run
        if settings.interface is None:
            parts["interface"] = lambda: node.interface.follow(node.vrrp.restart)
        if node.serving is not None:
            parts["serving"] = node.serving.run
        if node.containers is not None:
            parts["containers"] = node.containers.run
        return parts

    async def _run_links(self) -> None:
        await self._all.keyring.installed.wait()
        await self._all.mesh.run()

    async def _exchange(self) -> None:
        """Tell the peers what this node is, and sync what they have, at once when it changes."""
        node = self._all
        while True:
            version = node.changes.version
            report = node.bare_report()
            node.mesh.publish(replace(node.node.state(), keys=node.keyring.digests))
            if node.keyring.follow(node.node.linked()):
                node.changes.announce()  # the relay shows a certificate of the same secret
            node.sync.see(node.mesh.peers())
            # What people are shown comes last: a bug in it would stop the rest.
            node.chronicle.see(report)
            node.mesh.tell(node.gossip(report))
            await node.changes.wait_after(version, within=EXCHANGE_EVERY)

    def _keep_vital(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = self._vital[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda _: self._ended.set())

    def _on_started(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._ended.set()

    def _verdict(self) -> int:
        started = [self._starting] if self._starting else []
        for task in (*started, *self._vital.values()):
            if not task.done() or task.cancelled():
                continue
            error = _innermost(task.exception())
            if error is None and task is self._starting:
                continue
            known = error is None or isinstance(error, SidecarError)
            log.critical(
                "%s ended: %s",
                task.get_name(),
                error or "nobody told it to",
                exc_info=None if known else error,
            )
            return ExitCode.GAVE_UP if isinstance(error, GaveUpError) else ExitCode.INTERNAL
        return ExitCode.DONE


def _innermost(error: BaseException | None) -> BaseException | None:
    """Return the first exception inside of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
