"""What a running node is made of, and who knows whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from sidecar.containers.service import Containers
from sidecar.core.gossip import Gossip, details_of
from sidecar.core.report import NginxReport, Report, Role
from sidecar.core.settings import Identity, Settings
from sidecar.daemon.chronicle import Chronicle
from sidecar.daemon.hooks import Hooks
from sidecar.daemon.interface import Interface
from sidecar.daemon.keyring import Keyring
from sidecar.daemon.notifier import Notifier
from sidecar.daemon.parts import Parts
from sidecar.host.adverts import Adverts, next_advert
from sidecar.host.broadcast import Broadcast
from sidecar.host.disks import Disks
from sidecar.host.loop import Turns
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.host.watch import polled
from sidecar.peers.mesh import Mesh
from sidecar.programs import keepalived
from sidecar.serving.service import Serving
from sidecar.settings.digests import digests
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
    keyring: Keyring
    sync: Sync
    containers: Containers | None
    parts: Parts
    turns: Turns
    disks: Disks
    notifier: Notifier
    adverts: Adverts
    chronicle: Chronicle
    digests: Mapping[str, str]
    """Of the settings, by variable."""

    def report(self) -> Report:
        """Return everything known of this node now."""
        report = self.bare_report()
        return replace(report, events=self.chronicle.shown(report))

    def bare_report(self) -> Report:
        """Return it without the events, which only people want: finding them takes longer."""
        serving = self.serving.report() if self.serving else NginxReport(enabled=False)
        report = self.node.report(
            [self.keyring.sshd.report()],
            serving,
            self.sync.report(),
            self.containers.report() if self.containers else None,
            self.parts.failures,
            self.turns.report(),
        )
        heard = self.adverts.heard
        return replace(report, disks=self.disks.report(), polled=polled(), vrrp_heard=heard)

    def gossip(self, report: Report) -> Gossip:
        """Return what the peers are told of a report beside the state."""
        return Gossip(details=details_of(report, self.digests), events=self.chronicle.events)


def build(
    settings: Settings, identity: Identity, paths: Paths, network: Network, turns: Turns
) -> Components:
    """Make all of a node; nothing runs yet."""
    changes, hooks = Broadcast(), Hooks(settings)
    interface = Interface(settings, identity, paths, network)
    files = keepalived.Files.below(paths.run)

    def on_role(role: Role) -> None:
        hooks.announce(role)
        chronicle.on_role(role)

    vrrp = Vrrp(files, changes, render=interface.render, on_role=on_role)
    vips = Vips(
        settings.vips,
        network,
        changes,
        role=lambda: vrrp.role,
        hangs=lambda: vrrp.hangs,
        rival=lambda: next_advert(identity.peers, settings.vrid),
    )
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
            fleet=lambda: containers.fleet if containers else None,
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
    adverts = Adverts(identity.node, identity.peers, settings.vrid)
    chronicle = Chronicle(
        str(identity.node),
        paths.state / "timeline.json",
        heard=mesh.events,
        advert=lambda: adverts.last,
        why=partial(_why, node),
        silence=3 * interface.advert_interval,
    )

    def report() -> Report:
        return components.report()

    keyring = Keyring(settings, identity, paths)
    containers = None
    if settings.containers and serving is not None:
        containers = _containers(
            settings, identity, paths, network, changes, mesh, serving, keyring
        )
    components = Components(
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
        keyring=keyring,
        sync=sync,
        containers=containers,
        parts=Parts(),
        turns=turns,
        disks=Disks(paths.state, paths.nginx),
        notifier=Notifier(settings.notify, report, changes),
        adverts=adverts,
        chronicle=chronicle,
        digests=digests(settings),
    )
    return components


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


def _containers(
    settings: Settings,
    identity: Identity,
    paths: Paths,
    network: Network,
    changes: Broadcast,
    mesh: Mesh,
    serving: Serving,
    keyring: Keyring,
) -> Containers:
    return Containers(
        settings,
        identity,
        paths,
        network,
        changes,
        peers=mesh.offers,
        tell=mesh.offer,
        taken=serving.taken,
        served=lambda: serving.containers,
        changed=serving.look,
        shown=lambda: keyring.shown,
    )


def _wrong_with(nginx: Nginx, health: Health) -> str | None:
    """Tell what is wrong with nginx at this moment, for a configuration that is on trial."""
    if nginx.down:
        return "nginx is not running"
    return "nginx does not answer" if "nginx" in health.failing(hard=True) else None


def _why(node: Node) -> str:
    """Tell why the role of a node is what it is, if the election had to do with it."""
    return "requested by `ha failover`" if node.handing_over else node.verdict.why
