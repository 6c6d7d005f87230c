"""What a running node is made of, and who knows whom."""

from dataclasses import dataclass

from sidecar.core.report import NginxReport, Report
from sidecar.core.settings import Identity, Settings
from sidecar.daemon.hooks import Hooks
from sidecar.daemon.interface import Interface
from sidecar.daemon.parts import Parts
from sidecar.host.broadcast import Broadcast
from sidecar.host.loop import Turns
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.host.supervise import Supervisor
from sidecar.peers.mesh import Mesh
from sidecar.programs import keepalived, ssh
from sidecar.serving.service import Serving
from sidecar.sync.served import ServedByHook
from sidecar.sync.service import Sync
from sidecar.vital.health import Asker, Health, gateway_asker, url_asker
from sidecar.vital.nginx import Nginx
from sidecar.vital.node import Node
from sidecar.vital.vip import Vips
from sidecar.vital.vrrp import Vrrp


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """All of a node. Whoever changes says so on `changes`; whoever cares looks again."""

    settings: Settings
    identity: Identity
    paths: Paths
    changes: Broadcast
    interface: Interface
    vrrp: Vrrp
    vips: Vips
    nginx: Nginx | None
    serving: Serving | None
    health: Health
    node: Node
    hooks: Hooks
    mesh: Mesh
    sshd: Supervisor
    sync: Sync
    parts: Parts
    turns: Turns

    def report(self) -> Report:
        """Return everything known of this node now."""
        serving = self.serving.report() if self.serving else NginxReport(enabled=False)
        return self.node.report(
            [self.sshd.report()],
            serving,
            self.sync.report(),
            self.parts.failures,
            self.turns.report(),
        )


def build(
    settings: Settings, identity: Identity, paths: Paths, network: Network, turns: Turns
) -> Components:
    """Make all of a node; nothing runs yet."""
    changes, hooks = Broadcast(), Hooks(settings)
    interface = Interface(settings, identity, paths, network)
    files = keepalived.Files.below(paths.run)
    vrrp = Vrrp(files, changes, render=interface.render, on_role=hooks.announce)
    vips = Vips(settings.vips, network, changes, role=lambda: vrrp.role, hangs=lambda: vrrp.hangs)
    mesh = Mesh(identity, changes, port=settings.link_port, paths=paths)
    nginx: Nginx | None = None
    serving: Serving | None = None

    async def prepare() -> None:
        assert serving is not None
        await serving.prepare()

    if settings.nginx:
        nginx = Nginx(paths, changes, prepare=prepare)
        serving = Serving(
            settings,
            paths,
            nginx,
            changes,
            folders=lambda: sync,
            well=lambda: _wrong_with(nginx, health),
            alone=lambda: not any(peer.eligible for peer in node.linked()),
        )
    health = _health(settings, network, nginx, changes)
    sync = Sync(
        settings,
        identity,
        paths,
        serving or ServedByHook(settings.hook_sync),
        on_change=changes.announce,
    )
    node = Node(
        settings,
        identity,
        paths,
        changes,
        vrrp=vrrp,
        vips=vips,
        health=health,
        nginx=nginx,
        peers=mesh.peers,
        head=lambda: sync.head,
    )
    return Components(
        settings=settings,
        identity=identity,
        paths=paths,
        changes=changes,
        interface=interface,
        vrrp=vrrp,
        vips=vips,
        nginx=nginx,
        serving=serving,
        health=health,
        node=node,
        hooks=hooks,
        mesh=mesh,
        sshd=Supervisor(ssh.sshd(paths)),
        sync=sync,
        parts=Parts(),
        turns=turns,
    )


def _health(
    settings: Settings, network: Network, nginx: Nginx | None, changes: Broadcast
) -> Health:
    askers: dict[str, Asker] = {url: url_asker(url) for url in settings.check_urls}
    askers["gateway"] = gateway_asker(network)
    if nginx is not None:
        askers["nginx"] = nginx.ask
    return Health(
        settings,
        changes,
        askers,
        hard=frozenset({"nginx"}),
        earned=frozenset({"gateway"}),
    )


def _wrong_with(nginx: Nginx, health: Health) -> str:
    """Tell what is wrong with nginx at this moment, for a configuration that is on trial."""
    if nginx.down:
        return "nginx is not running"
    return "nginx does not answer" if "nginx" in health.failing(hard=True) else ""
