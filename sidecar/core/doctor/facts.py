"""What `ha doctor` collects before it judges; None stands for what could not be found out."""

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.report import Problem, Report
from sidecar.core.settings import Address, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory that we write to."""

    path: str
    writable: bool
    volatile: bool
    """It lies in memory (a tmpfs)."""
    size: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAddress:
    """An address of this host."""

    address: str
    prefix: int
    interface: str
    up: bool
    dynamic: bool
    """It is leased, as by DHCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardAdvert:
    """A VRRP advert that was heard: its sender is MASTER of that instance."""

    source: str
    vrid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is judged."""

    settings: Settings
    own: Address | None
    """Which of HA_NODES is an address of this host."""
    report: Report | None
    """What the running node says of itself; None without one."""
    missing: tuple[str, ...]
    """Capabilities that the container lacks."""
    remapped: bool
    """Docker remaps users (userns-remap)."""
    real_time: bool
    """keepalived may run in real time."""
    places: tuple[Place, ...]
    single_files: tuple[str, ...]
    """Files below HA_SYNC_PATHS that are mounted one by one."""
    instances: int | None
    """fs.inotify.max_user_instances."""
    addresses: tuple[LocalAddress, ...] | None
    gateways: tuple[str, ...]
    managers: tuple[str, ...]
    """What else manages the interfaces, e.g. NetworkManager."""
    answers: Mapping[str, tuple[str, ...]]
    """Which MAC addresses answer for an address (ARP, or neighbour discovery), by address: the VIPs
    and the peers. Whoever could not be asked is not in it."""
    adverts: tuple[HeardAdvert, ...] | None
    """Those of other hosts."""
    knocks: Mapping[str, str]
    """What became of a connection to HA_SYNC_PORT of each peer: empty if it was accepted."""
    names: Mapping[str, bool]
    """Whether a host name in the settings can be resolved."""
    ports: Mapping[str, str]
    """Who holds a port that this node needs, by `setting port`; empty if that cannot be seen."""
    configuration: tuple[Problem, ...]
    """What is wrong with the configuration, by nginx or by `ha check`."""
    digests: Mapping[str, str]
    """A digest of each setting, by variable."""
