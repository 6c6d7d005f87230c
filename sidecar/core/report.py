"""What a node knows about itself and its peers, as plain values.

The daemon makes one `Report`; the status API, the command line and the metrics all print that one.
`NodeState` is the part that travels to the peers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.core.sync import SyncReport


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
    """One node as it says itself; sent over the link whenever it changes and every second."""

    node: str
    version: str
    role: Role = Role.INIT
    vips: tuple[str, ...] = ()
    """Virtual addresses seen on the NIC, without prefix."""
    eligible: bool = False
    """No hard failure: it could serve."""
    hard: tuple[str, ...] = ()
    """Names of failures that forbid serving, e.g. `nginx`."""
    soft: tuple[str, ...] = ()
    """Names of failures that only make it the worse choice, e.g. `gateway`."""
    draining: bool = False
    yielding: bool = False
    """It gives the VIP away at this moment."""
    settings: str = ""
    """Digest of the settings that must be the same on every node."""
    head: str | None = None
    """Id of the newest snapshot; None before the first."""
    clock: float = 0.0
    """Unix time in seconds when the state was sent."""


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
    certificates: Mapping[str, float] = field(default_factory=dict)
    """notAfter (unix time) of each certificate below the configuration, by path."""


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
    role_changes: Mapping[str, int] = field(default_factory=dict)
    """Number of changes to each role since the start."""
    part_failures: Mapping[str, int] = field(default_factory=dict)
    """Crashes of our own non-vital parts since the start, by part."""
    loop: LoopReport = LoopReport()
    problems: tuple[Problem, ...] = ()
