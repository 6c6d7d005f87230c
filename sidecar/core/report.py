"""What a node knows about itself and its peers, as plain values.

The daemon makes one `Report`; the status API, the command line and the metrics all print that one.
`NodeState` is the part that travels to the peers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from sidecar.core.sync_report import Progress, SyncReport
from sidecar.core.timeline import Event


class Role(StrEnum):
    """The VRRP state of the node (RFC 5798 §6.4, and keepalived's FAULT)."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"
    FAULT = "FAULT"


class Severity(StrEnum):
    """How bad a problem is: an error stops this node from serving or protecting, a warning may."""

    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something a person should know, with what to do about it."""

    code: str
    """Stable, lower case with dashes, e.g. `split-brain`; what alerts and tests match."""
    severity: Severity
    message: str
    hint: str = ""
    about: str = ""
    """What it is about if there may be several with that code: a peer, a program, a snapshot."""

    def __str__(self) -> str:
        return f"{self.message}\n    {self.hint}" if self.hint else self.message


Text = Annotated[str, Meta(max_length=500)]
"""What a peer may say in words."""

Clock = Annotated[float, Meta(ge=0, le=2**40)]
"""Unix time in seconds, as a peer may say it."""

_Names = Annotated[tuple[Annotated[Text, Meta(min_length=1)], ...], Meta(max_length=64)]
_Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class ServiceState(StrEnum):
    """The states of a supervised program; `core.service` has the transitions."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    GAVE_UP = "gave-up"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One node as it says itself; sent over the link whenever it changes and every second.

    The bounds are those of what a peer may send.
    """

    node: Text
    version: Annotated[str, Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z.+-]{0,63}\Z")]
    role: Role = Role.INIT
    vips: _Names = ()
    """Virtual addresses seen on the NIC, without prefix."""
    eligible: bool = False
    """No hard failure: it could serve."""
    hard: _Names = ()
    """Names of failures that forbid serving, e.g. `nginx`."""
    soft: _Names = ()
    """Names of failures that only make it the worse choice, e.g. `gateway`."""
    draining: bool = False
    yielding: bool = False
    """It gives the VIP away at this moment."""
    settings: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")] = ""
    """Digest of the settings that must be the same on every node."""
    containers: bool = False
    """It takes the sites of the others' containers."""
    head: _Digest | None = None
    """Id of the newest snapshot; None before the first."""
    keys: Annotated[tuple[_Digest, ...], Meta(max_length=2)] = ()
    """Digests of the hosts' public keys that it takes, by its secrets, the newest first."""
    clock: Clock = 0.0
    """Unix time in seconds when the state was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VipReport:
    """A virtual address as the NIC shows it."""

    address: str
    held: bool
    leased: bool
    """It carries a kernel lifetime, so that it goes even if everything here dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReport:
    """A supervised program."""

    name: str
    state: ServiceState
    pid: int | None = None
    restarts: int = 0
    since: float = 0.0
    """Unix time of the last change of state."""
    error: str = ""
    """Why it is not running: its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """A health check; `up` is None until it has an answer that counts."""

    name: str
    up: bool | None
    hard: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a node tells its peers of its inside, so that each of them can show it."""

    started: float
    """Unix time when its daemon started."""
    synced: float = 0.0
    """Unix time of its last pull or comparison that worked; 0: never."""
    fetching: Progress | None = None
    """How far its fetch of a snapshot is; None while there is none under way."""
    vrrp_heard: tuple[str, ...] | None = None
    """The nodes whose VRRP packets arrive there; None if it cannot tell."""
    processes: tuple[ProcessReport, ...] = ()
    checks: tuple[CheckReport, ...] = ()
    problems: tuple[Problem, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """A digest of each setting that should be the same everywhere, by variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReport:
    """A peer as seen from here."""

    node: str
    linked: bool
    """A state arrived within the last 3 s."""
    state: NodeState | None = None
    """The last one received, however old."""
    age: float | None = None
    """Seconds since the last state."""
    clock_skew: float | None = None
    """Peer's clock minus ours, in seconds."""
    error: str = ""
    """Why the link is down, in ssh's own words where it has some."""
    details: Details | None = None
    """What it said last of its inside; None where it never did, as one of an older version."""
    stranger: bool = False
    """It answers, and does not have this node in its HA_NODES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VrrpCounters:
    """Counters of one VRRP instance, from keepalived's JSON dump (`stats`)."""

    advert_received: int = 0
    advert_sent: int = 0
    become_master: int = 0
    release_master: int = 0
    packet_length_errors: int = 0
    advert_interval_errors: int = 0
    ip_ttl_errors: int = 0
    invalid_type_received: int = 0
    address_list_errors: int = 0
    authentication_invalid: int = 0
    authentication_type_mismatch: int = 0
    authentication_failure: int = 0
    priority_zero_received: int = 0
    priority_zero_sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VrrpReport:
    """What keepalived says of itself: its belief, not the truth on the NIC."""

    instance: str
    interface: str
    vrid: int
    role: Role
    priority: int
    effective_priority: int
    last_transition: float
    vips: tuple[str, ...]
    excluded_vips: tuple[str, ...]
    counters: VrrpCounters = field(default_factory=VrrpCounters)
    garp_delay: float | None = None
    """Seconds until the second set of gratuitous ARP messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StubStatus:
    """nginx's own counters (ngx_http_stub_status_module)."""

    active: int
    accepted: int
    handled: int
    requests: int
    reading: int
    writing: int
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When a certificate is valid, in unix seconds, and for whom."""

    not_before: float
    not_after: float
    hosts: tuple[str, ...] = ()
    """Names in it, in lower case; `*.example.com` is one."""

    def share_left(self, now: float) -> float:
        """Return the share of its lifetime that is left at unix time `now`; 0 once it expired."""
        left = self.not_after - now
        return left / max(self.not_after - self.not_before, left) if left > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """A name that a server in a person's own nginx files has."""

    host: str
    """As it is written there, in lower case; the address and port of a server without a name."""
    file: str
    """Relative to the folder of nginx.conf if it lies below."""
    certificate: str = ""
    """Path of the certificate; empty without TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxReport:
    """The served configuration."""

    enabled: bool
    config_valid: bool | None = None
    config_error: str = ""
    """nginx's own first `[emerg]` line when the configuration on disk is refused."""
    stub_status: StubStatus | None = None
    """None where the user's nginx.conf does not include ours."""
    reloads: Mapping[str, int] = field(default_factory=dict)
    """Number of reloads by result: `success`, `failure`."""
    certificates: Mapping[str, Validity] = field(default_factory=dict)
    """Those below the configuration and those that it names, by path."""
    servers: tuple[ServerReport, ...] = ()
    """Those of a person's own files that nginx serves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReport:
    """A site of containers, on whatever nodes they are."""

    host: str
    path: str
    up: bool | None
    """Some container serves it; None if only a node that is not linked had one."""
    replicas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Number of containers by node and state; `unknown` on a node that is not linked."""
    certificate: str = ""
    """Directory of its certificate; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainersReport:
    """The sites of containers."""

    sites: tuple[SiteReport, ...] = ()
    ignored: tuple[str, ...] = ()
    """What containers of this node want and cannot have, and why."""
    error: str = ""
    """Why Docker does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    """How long the turns of the event loop took: what happens in one delays everything else."""

    turns: Mapping[str, int] = field(default_factory=dict)
    """Number of turns that took at most so many seconds, by that bound as text; `+Inf`: all."""
    seconds: float = 0.0
    """Sum of what they took."""
    long: int = 0
    """Number of those that kept everything waiting for more than 0.1 s, the waiting for a
    processor not counted."""
    longest: float = 0.0
    """Seconds of the longest one, without its waiting for a processor."""
    where: str = ""
    """What ran in that one, innermost call first; empty if it was not long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReport:
    """The room on the file system of a directory that we write to, in bytes."""

    path: str
    size: int
    free: int
    """What may still be used by whom the container runs as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that can be asked of a node."""

    node: NodeState
    started: float
    """Unix time when the daemon started."""
    priority: int
    """Base priority of this node (240 minus its index)."""
    why: str = ""
    """Why the election came out as it did, in words; empty when there is nothing to say."""
    split_brain: bool = False
    peers: tuple[PeerReport, ...] = ()
    vips: tuple[VipReport, ...] = ()
    processes: tuple[ProcessReport, ...] = ()
    checks: tuple[CheckReport, ...] = ()
    vrrp: VrrpReport | None = None
    nginx: NginxReport = NginxReport(enabled=False)
    sync: SyncReport | None = None
    containers: ContainersReport | None = None
    """None unless HA_CONTAINERS=on."""
    role_changes: Mapping[str, int] = field(default_factory=dict)
    """Number of changes to each role since the start."""
    part_failures: Mapping[str, int] = field(default_factory=dict)
    """Crashes of our own non-vital parts since the start, by part."""
    loop: LoopReport = LoopReport()
    disks: tuple[DiskReport, ...] = ()
    vrrp_heard: tuple[str, ...] | None = None
    """The other nodes whose VRRP packets arrive here; None while that cannot be told."""
    polled: tuple[str, ...] = ()
    """What is looked at each second, since nobody tells when it changes."""
    problems: tuple[Problem, ...] = ()
    events: tuple[Event, ...] = ()
    """What happened on all nodes, newest first."""

    def linked(self) -> tuple[NodeState, ...]:
        """Return the states of the other nodes that can be seen now."""
        return tuple(peer.state for peer in self.peers if peer.linked and peer.state is not None)
