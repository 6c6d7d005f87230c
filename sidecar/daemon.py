"""The daemon: starts everything in order, runs two scopes, stops everything in order.

The vital scope is nginx, keepalived, health, the VIP and the node's decisions; whatever ends there
ends the container. All else (links, HTTP, hooks, watching files) runs as parts that may crash and
come back.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from sidecar import __version__
from sidecar.core.report import NginxReport, Report, Role
from sidecar.core.settings import Identity, Settings
from sidecar.errors import ExitCode, RefusedError, SidecarError
from sidecar.hooks import Hooks
from sidecar.host import capabilities
from sidecar.host.loop import Turns, measured
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.host.supervise import GaveUpError, Supervisor
from sidecar.parts import Parts
from sidecar.peers.mesh import Mesh
from sidecar.programs import keepalived, ssh
from sidecar.programs.ssh_keys import keys_from_aside
from sidecar.serving.service import Serving
from sidecar.settings.describe import describe
from sidecar.settings.load import Loaded
from sidecar.startup import identify, interface_of, prepare_host
from sidecar.sync.orders import Orders
from sidecar.sync.served import Served, ServedByHook
from sidecar.sync.service import Sync
from sidecar.vital.commands import Commands
from sidecar.vital.health import Health, gateway_asker, url_asker
from sidecar.vital.nginx import Nginx
from sidecar.vital.node import Node
from sidecar.vital.vip import Vips
from sidecar.vital.vrrp import Vrrp
from sidecar.web import app, control

log = logging.getLogger("daemon")

READY_WITHIN: Final = 5.0
"""Seconds that keepalived's start waits for the first verdict on nginx."""

LINKED_WITHIN: Final = 3.0
"""Seconds that keepalived's start waits for the links; a missing peer never blocks."""

SYNCED_WITHIN: Final = 10.0
"""Seconds that keepalived's start waits for what the linked peers have."""

DUMP_EVERY: Final = 5.0
FOLLOW_EVERY: Final = 2.0
PUBLISH_EVERY: Final = 0.5

RELEASED_WITHIN: Final = 2.0
"""Seconds that keepalived has to take the VIP off the NIC at a stop."""


def run(loaded: Loaded) -> int:
    """Run the node until it is told to stop; return the exit code."""
    settings = loaded.settings
    log.info("kiss-ha %s", __version__)
    for line in describe(loaded):
        log.info("%s", line)
    try:
        prepare_host(Paths())
        turns = Turns()
        return asyncio.run(_run(settings, Paths(), turns), loop_factory=lambda: measured(turns))
    except SidecarError as error:
        log.critical("%s", error)
        return error.exit_code


async def _run(settings: Settings, paths: Paths, turns: Turns) -> int:
    stop = _stop_event()
    async with Network() as network:
        identifying = asyncio.create_task(identify(settings, network), name="identify")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({identifying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not identifying.done():
            await _cancel(identifying)
            return ExitCode.DONE
        daemon = Daemon(settings, identifying.result(), paths, network, turns)
        return await daemon.run(stopping)


def _stop_event() -> asyncio.Event:
    """Return an event that TERM, INT or QUIT sets; a second signal ends the process at once.

    Then keepalived's parent-death signal takes the VIP off the NIC.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(ExitCode.DONE)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, on_signal)
    return stop


class Daemon:
    """One run of the node: builds the parts, starts them, stops them."""

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        paths: Paths,
        network: Network,
        turns: Turns,
    ) -> None:
        self._settings, self._identity = settings, identity
        self._paths, self._network, self._turns = paths, network, turns
        files = keepalived.Files.below(paths.run)
        self._vrrp = Vrrp(files, render=self._render_keepalived, on_role=self._on_role)
        self._vips = Vips(
            settings.vips,
            network,
            role=lambda: self._vrrp.role,
            hangs=lambda: self._vrrp.hangs,
            on_change=self._wake,
        )
        self._nginx = (
            Nginx(paths, prepare=self._prepare_nginx, on_change=self._wake)
            if settings.nginx
            else None
        )
        self._serving = (
            Serving(
                settings,
                paths,
                self._nginx,
                folders=lambda: self._sync,
                well=self._well,
                alone=self._alone,
                on_change=self._wake,
            )
            if self._nginx is not None
            else None
        )
        self._health = self._make_health()
        self._node = Node(
            settings,
            identity,
            paths,
            vrrp=self._vrrp,
            vips=self._vips,
            health=self._health,
            nginx=self._nginx,
        )
        self._hooks = Hooks(settings)
        self._parts = Parts()
        self._mesh = Mesh(identity, port=settings.link_port, paths=paths, on_change=self._on_peers)
        self._sshd = Supervisor(ssh.sshd(paths))
        served: Served = self._serving or ServedByHook(settings.hook_sync)
        self._sync = Sync(settings, identity, paths, served, on_change=self._on_head)
        self._orders = self._make_orders()
        self._vital: dict[str, asyncio.Task[None]] = {}
        self._rest: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._changed = asyncio.Event()
        self._keys_installed = asyncio.Event()
        self._interface = ""
        """What keepalived was last rendered for; empty while that is being found out."""

    async def run(self, stopping: asyncio.Task[bool]) -> int:
        """Start everything, wait for `stopping` or the end of a vital task, stop everything."""
        stopping.add_done_callback(lambda _: self._ended.set())
        try:
            self._vips.release()
            self._vrrp.open()
            self._keep_vital("start", self._start())
            await self._ended.wait()
        finally:
            await self._stop()
        return self._verdict()

    async def _start(self) -> None:
        await self._sync.open()
        self._on_head()
        if self._nginx is not None:
            self._keep_vital("nginx", self._nginx.supervisor.run())
        self._keep_vital("vip", self._vips.run())
        self._keep_vital("health", self._health.run())
        self._keep_vital("node", self._node.run())
        for name, part in self._make_parts().items():
            task = asyncio.create_task(self._parts.keep(name, part), name=name)
            self._rest.append(task)
        await self._wait_until_ready()
        self._keep_vital("keepalived", self._vrrp.supervisor.run())

    async def _wait_until_ready(self) -> None:
        """Wait for nginx's first verdict, the links, the more preferred nodes; never for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_WITHIN):
                while not self._health.settled:
                    await asyncio.sleep(0.02)
        await self._mesh.wait_linked(LINKED_WITHIN)
        await self._sync.wait_settled(SYNCED_WITHIN)
        preferred = {str(node) for node in self._settings.nodes[: self._identity.index]}
        with suppress(TimeoutError):
            async with asyncio.timeout(LINKED_WITHIN):
                while any(
                    peer.node in preferred and peer.role is Role.INIT
                    for peer in self._node.linked()
                ):
                    await asyncio.sleep(0.02)

    async def _stop(self) -> None:
        """Stop in the order that keeps requests: VIP away, then nginx, then the rest."""
        log.info("stopping")
        async with AsyncExitStack() as last:
            last.callback(self._vrrp.close)
            last.push_async_callback(_cancel, *self._rest)
            # It gives the VIP up at once and then needs a second more: nginx need not wait.
            releasing = self._vital.get("keepalived")
            if releasing is not None:
                releasing.cancel()
                if not await self._vips.gone(RELEASED_WITHIN):
                    self._vips.release()
            await _cancel(*(task for task in self._vital.values() if task is not releasing))
            await _cancel(*([releasing] if releasing else []))

    def report(self) -> Report:
        """Return everything known of this node now."""
        serving = self._serving.report() if self._serving else NginxReport(enabled=False)
        return self._node.report(
            [self._sshd.report()],
            serving,
            self._sync.report(),
            self._parts.failures,
            self._turns.report(),
        )

    def _make_orders(self) -> control.Orders:
        """Return what carries out the commands that a person gives the running node."""
        node = Commands(self._node, self._settings.prefer)
        return {
            "failover": node.failover,
            "drain": node.drain,
            "resume": node.resume,
            "reload": self._serving.reload if self._serving else _reload_nothing,
            "sync": self._by_sync(lambda sync: sync.sync),
            "sync release": self._by_sync(lambda sync: sync.release),
            "rollback": self._by_sync(lambda sync: sync.rollback),
            "restore": self._by_sync(lambda sync: sync.restore),
            "bring": self._by_sync(lambda sync: sync.bring),
        }

    def _by_sync(self, order: Callable[[Orders], control.Order]) -> control.Order:
        async def perform(**given: object) -> str:
            return await order(self._sync.orders)(**given)

        return perform

    def _make_parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        settings, socket = self._settings, self._paths.control_socket
        listen = settings.http_listen or (str(self._identity.node), "127.0.0.1")
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "sshd": self._run_sshd,
            "links": self._run_links,
            "publish": self._publish,
            "hooks": self._hooks.run,
            "http": lambda: app.serve(self.report, addresses=listen, port=settings.http_port),
            "control": lambda: control.serve(self.report, self._orders, socket=socket),
            "dump": self._dump,
            "sync": self._sync.run,
        }
        if settings.interface is None:
            parts["interface"] = self._follow_interface
        if self._serving is not None:
            parts["serving"] = self._serving.run
        return parts

    async def _run_sshd(self) -> None:
        keys = await keys_from_aside(self._settings.secret)
        ssh.install(self._paths, self._identity, keys=keys, port=self._settings.link_port)
        self._keys_installed.set()
        await self._sshd.run()

    async def _run_links(self) -> None:
        await self._keys_installed.wait()
        await self._mesh.run()

    async def _dump(self) -> None:
        """Keep keepalived's own numbers fresh for the metrics."""
        while True:
            self._node.vrrp_report = await self._vrrp.dump()
            await asyncio.sleep(DUMP_EVERY)

    async def _publish(self) -> None:
        """Tell the peers what this node is, at once when it changes."""
        while True:
            self._mesh.publish(self._node.state())
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(PUBLISH_EVERY):
                    await self._changed.wait()

    async def _render_keepalived(self) -> str:
        self._interface = self._settings.interface or await interface_of(
            self._identity.node, self._network
        )
        real_time = capabilities.may_run_in_real_time()
        log.info("keepalived runs %s", "in real time" if real_time else "at ordinary priority")
        return keepalived.render(
            self._settings,
            self._identity,
            self._paths,
            self._interface,
            real_time=real_time,
        )

    async def _follow_interface(self) -> None:
        """Start keepalived anew when the node's address has moved to another interface."""
        while True:
            now = await interface_of(self._identity.node, self._network)
            if self._interface not in ("", now):
                log.warning("%s is on %s now: restarting keepalived", self._identity.node, now)
                self._vrrp.restart()
                self._interface = ""
            await asyncio.sleep(FOLLOW_EVERY)

    def _well(self) -> str:
        """Tell what is wrong with nginx at this moment, for a configuration that is on trial."""
        if self._nginx is not None and self._nginx.down:
            return "nginx is not running"
        return "nginx does not answer" if "nginx" in self._health.failing(hard=True) else ""

    def _make_health(self) -> Health:
        askers = {url: url_asker(url) for url in self._settings.check_urls}
        askers["gateway"] = gateway_asker(self._network)
        if self._nginx is not None:
            askers["nginx"] = self._nginx.ask
        return Health(
            self._settings,
            askers,
            hard=frozenset({"nginx"}),
            earned=frozenset({"gateway"}),
            on_change=self._wake,
        )

    def _on_role(self, role: Role) -> None:
        self._vips.look()
        self._hooks.announce(role)
        self._wake()

    def _on_peers(self) -> None:
        self._node.peers = self._mesh.peers()
        self._sync.see(self._node.peers)
        self._wake()

    async def _prepare_nginx(self) -> None:
        assert self._serving is not None
        await self._serving.prepare()

    def _alone(self) -> bool:
        return not any(peer.eligible for peer in self._node.linked())

    def _on_head(self) -> None:
        self._node.head = self._sync.head
        self._wake()

    def _wake(self) -> None:
        self._node.wake()
        self._changed.set()

    def _keep_vital(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = self._vital[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(self._on_vital_end)

    def _on_vital_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._ended.set()

    def _verdict(self) -> int:
        for task in self._vital.values():
            if not task.done() or task.cancelled() or task.exception() is None:
                continue
            error = _innermost(task.exception())
            known = isinstance(error, SidecarError)
            log.critical("%s ended: %s", task.get_name(), error, exc_info=None if known else error)
            return ExitCode.GAVE_UP if isinstance(error, GaveUpError) else ExitCode.INTERNAL
        return ExitCode.DONE


async def _reload_nothing() -> str:
    raise RefusedError("cannot reload: HA_NGINX=off", "reload your own service yourself")


def _innermost(error: BaseException | None) -> BaseException | None:
    """Return the first exception inside of nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
