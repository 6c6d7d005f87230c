"""keepalived (2.2.7 to 2.3.x): its configuration, command line, fifo lines and JSON dump."""

import json
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sidecar.core.report import Role, VrrpCounters, VrrpReport
from sidecar.core.settings import Identity, Prefer, Settings
from sidecar.core.vip.election import base_priority
from sidecar.errors import ProgramError
from sidecar.host.paths import Paths
from sidecar.programs.templates import render as render_template

INSTANCE: Final = "VI_1"

DUMP_SIGNAL: Final = signal.SIGRTMIN + 2
"""Makes keepalived write its JSON dump (`keepalived --signum=JSON`)."""

GRACES: Final = ((signal.SIGTERM, 5.0),)

REAL_TIME_INTERVAL: Final = 0.03
"""Seconds between two adverts of a keepalived that no ordinary process can delay."""

ORDINARY_INTERVAL: Final = 0.1
"""The same where it waits its turn."""

_DEAF: Final = "Unable to monitor track files"
"""All that it says when the kernel has no inotify instance for it; it then runs, told nothing."""

_TIMESTAMP = re.compile(r"^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: ")

_EVENT = re.compile(r'INSTANCE "(?P<instance>[^"]+)" (?P<state>\w+) \d+')

_ROLE_OF_EVENT: Final[Mapping[str, Role]] = {
    "MASTER": Role.MASTER,
    "BACKUP": Role.BACKUP,
    "FAULT": Role.FAULT,
    "STOP": Role.INIT,
    "DELETED": Role.INIT,
}
_ROLE_OF_NUMBER: Final = (Role.INIT, Role.BACKUP, Role.MASTER, Role.FAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What keepalived reads and writes, all below one directory."""

    directory: Path

    @classmethod
    def below(cls, run: Path) -> "Files":
        """Return the files for a run directory."""
        return cls(directory=run / "keepalived")

    @property
    def config(self) -> Path:
        """The rendered configuration."""
        return self.directory / "keepalived.conf"

    @property
    def fifo(self) -> Path:
        """Where state changes arrive."""
        return self.directory / "notify"

    @property
    def health(self) -> Path:
        """Track file of weight 0: 1 makes the instance FAULT."""
        return self.directory / "health"

    @property
    def preference(self) -> Path:
        """Track file whose number is added to the priority."""
        return self.directory / "preference"

    @property
    def master(self) -> Path:
        """Exists while this node is MASTER: the lease script refreshes only then."""
        return self.directory / "master"

    @property
    def heartbeat(self) -> Path:
        """Touched by the daemon; the lease script's dead man's switch."""
        return self.directory / "heartbeat"

    @property
    def pulse(self) -> Path:
        """Touched by the lease script: keepalived lives."""
        return self.directory / "pulse"

    @property
    def probe(self) -> Path:
        """Command that tells whether nginx answers, for the lease script when the daemon hangs."""
        return self.directory / "probe"

    @property
    def dump(self) -> Path:
        """The JSON dump: keepalived writes it into its TMPDIR."""
        return self.directory / "keepalived.json"


def advert_interval(settings: Settings, *, real_time: bool) -> float:
    """Return the seconds between two adverts.

    An ordinary process may get no processor for longer than three short ones. A BACKUP goes by what
    its MASTER says (RFC 5798 §6.4.2), so nodes of either kind may be together.
    """
    if settings.advert_interval is not None:
        return settings.advert_interval
    return REAL_TIME_INTERVAL if real_time else ORDINARY_INTERVAL


def render(
    settings: Settings,
    identity: Identity,
    paths: Paths,
    interface: str,
    *,
    real_time: bool = False,
) -> str:
    """Return keepalived.conf for this node, with the VIP on `interface`."""
    family = identity.node.version
    vips = [vip for vip in settings.vips if vip.version == family]
    files = Files.below(paths.run)
    lease = [str(paths.programs / "lease"), str(files.directory), interface]
    return render_template(
        paths.config / "templates" / "keepalived.conf.j2",
        files=files,
        instance=INSTANCE,
        identity=identity,
        interface=interface,
        vrid=settings.vrid,
        priority=base_priority(identity.index),
        real_time=real_time,
        advert_interval=f"{advert_interval(settings, real_time=real_time):g}",
        sticky=settings.prefer is Prefer.NONE,
        lease=" ".join([*lease, *(str(vip) for vip in settings.vips)]),
        vips=vips,
        other_vips=[vip for vip in settings.vips if vip.version != family],
    )


def command(files: Files) -> list[str]:
    """Return the command that runs keepalived in the foreground, VRRP only."""
    return [
        "keepalived",
        "--dont-fork",
        "--vrrp",
        "--log-console",
        "--no-syslog",
        f"--use-file={files.config}",
        f"--pid={files.directory / 'keepalived.pid'}",
        f"--vrrp_pid={files.directory / 'vrrp.pid'}",
    ]


def environment(files: Files) -> dict[str, str]:
    """Return keepalived's environment: its dump goes where we read it."""
    return {"TMPDIR": str(files.directory)}


def without_timestamp(line: str) -> str:
    """Return a line of keepalived's log without its own time."""
    return _TIMESTAMP.sub("", line)


def deaf(line: str) -> bool:
    """Tell whether a line of keepalived's log says that it will not hear of track files."""
    return _DEAF in line


def epitaph(lines: Sequence[str]) -> str:
    """Return which of keepalived's last lines tells why it ended."""
    words = list(map(without_timestamp, lines))
    return next(filter(deaf, words), next(reversed(words), ""))


def parse_event(line: str) -> Role | None:
    """Return the role that a fifo line announces; None if it announces none."""
    match = _EVENT.fullmatch(line.strip())
    return _ROLE_OF_EVENT.get(match["state"]) if match else None


def parse_dump(text: str) -> VrrpReport | None:
    """Return our instance from a JSON dump; None before there is one.

    Raise ProgramError if the text is not whole: it is written in place, so a read may be torn.
    """
    try:
        for entry in json.loads(text):
            if entry["data"]["iname"] == INSTANCE:
                return _report(entry["data"], entry["stats"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ProgramError(f"cannot read keepalived's dump: {error!r}") from error
    return None


def _report(data: Mapping[str, Any], stats: Mapping[str, Any]) -> VrrpReport:
    return VrrpReport(
        instance=data["iname"],
        interface=data["ifp_ifname"],
        vrid=int(data["vrid"]),
        role=_ROLE_OF_NUMBER[int(data["state"])],
        priority=int(data["base_priority"]),
        effective_priority=int(data["effective_priority"]),
        last_transition=float(data["last_transition"]),
        vips=_addresses(data.get("vips", ())),
        excluded_vips=_addresses(data.get("evips", ())),
        garp_delay=float(data["garp_delay"]),
        counters=VrrpCounters(
            advert_received=int(stats["advert_rcvd"]),
            advert_sent=int(stats["advert_sent"]),
            become_master=int(stats["become_master"]),
            release_master=int(stats["release_master"]),
            packet_length_errors=int(stats["packet_len_err"]),
            advert_interval_errors=int(stats["advert_interval_err"]),
            ip_ttl_errors=int(stats["ip_ttl_err"]),
            invalid_type_received=int(stats["invalid_type_rcvd"]),
            address_list_errors=int(stats["addr_list_err"]),
            authentication_invalid=int(stats["invalid_authtype"]),
            authentication_type_mismatch=int(stats["authtype_mismatch"]),
            authentication_failure=int(stats["auth_failure"]),
            priority_zero_received=int(stats["pri_zero_rcvd"]),
            priority_zero_sent=int(stats["pri_zero_sent"]),
        ),
    )


def _addresses(entries: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses of lines such as `192.0.2.10 dev eth0 scope global`."""
    return tuple(entry.split(maxsplit=1)[0] for entry in entries)
