"""The settings of a node, parsed and frozen.

`sidecar.settings` makes this object from the environment; everything else only reads it.
Durations are seconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface


class Prefer(StrEnum):
    """Where the VIP belongs when every node is well."""

    NONE = "none"
    FIRST = "first"


class LogLevel(StrEnum):
    """The least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A reverse-proxied site of HA_SITES: requests for `host` go to `url` (scheme://host[:port][/path])."""

    host: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, in the order of docs/settings.md."""

    nodes: tuple[Address, ...]
    vips: tuple[Interface, ...]
    secrets: tuple[str, ...] = field(repr=False)
    """One, or while it is being changed the new one and the old one."""
    node: Address | None
    """None until the daemon has seen which of `nodes` this host holds."""
    interface: str | None
    vrid: int
    advert_interval: float | None
    prefer: Prefer
    nginx: bool
    sites: tuple[Site, ...]
    containers: bool
    containers_filter: tuple[str, ...]
    """`key=value`, as `docker ps --filter` takes them."""
    containers_spread: bool
    docker_host: str
    relay_port: int
    check_urls: tuple[str, ...]
    check_interval: float
    check_timeout: float
    check_fall: int
    check_rise: int
    sync_paths: tuple[str, ...]
    """Directories, absolute and normalised, sorted; none lies below another one."""
    sync_schedule: str | None
    """Cron expression of the full check, in `timezone`; None: never."""
    sync_on_change: bool
    sync_soak: float
    sync_exclude: tuple[str, ...]
    """Patterns beside those of `core.exclude.DEFAULT_EXCLUDE`."""
    sync_keep: int
    link_port: int
    """HA_SYNC_PORT: where the nodes' sshd listens."""
    http_port: int
    http_listen: tuple[str, ...] | None
    """None: the node's address and 127.0.0.1."""
    hook_master: str
    hook_backup: str
    hook_fault: str
    hook_sync: str
    notify: tuple[str, ...] = field(repr=False)
    """URLs of Apprise; each may hold passwords."""
    log_level: str
    log_format: LogFormat
    timezone: str
    color: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this node is, once its address has been found."""

    node: Address
    index: int
    """Position in HA_NODES; 0 is the most preferred."""
    interface: str
    peers: tuple[Address, ...]
