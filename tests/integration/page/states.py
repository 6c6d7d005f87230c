"""Reports of a pair in the states that its page has to show well."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sidecar.core.report import (
    CheckReport,
    Details,
    NginxReport,
    NodeState,
    PeerReport,
    Problem,
    ProcessReport,
    Report,
    Role,
    ServiceState,
    Severity,
    Validity,
    VipReport,
)
from sidecar.core.show.problems import find
from sidecar.core.sync_report import Hold, PeerSync, SnapshotReport, SyncReport
from sidecar.core.timeline import Event, EventKind

NOW: Final = 1_795_831_964.0
DAY: Final = 86_400.0
A, B, C, VIP = "192.168.1.11", "192.168.1.12", "192.168.1.13", "192.168.1.10"
HEAD: Final = "3f2a9c81d0be" + "0" * 52
OLDER: Final = "8c1d2e3f4a5b" + "0" * 52

_ROLE, _SNAPSHOT = EventKind.ROLE, EventKind.SNAPSHOT

SNAPSHOTS: Final = (
    SnapshotReport(id=HEAD, time=NOW - 2400, node=B, summary="conf.d/app.conf edited"),
    SnapshotReport(
        id=OLDER, time=NOW - DAY, summary="merged: conf.d/shop.conf added, conf.d/app.conf edited"
    ),
    SnapshotReport(id="1" * 64, time=NOW - 3 * DAY, node=A, summary="4 files added"),
)
EVENTS: Final = (
    Event(time=NOW - 2400, node=B, kind=_SNAPSHOT, subject=HEAD, text="conf.d/app.conf edited"),
    Event(
        time=NOW - 11_500, node=A, kind=_ROLE, subject="BACKUP", text="requested by `ha failover`"
    ),
    Event(
        time=NOW - 11_499.99,
        node=B,
        kind=_ROLE,
        subject="MASTER",
        text=f"{A} handed the VIP over",
        previous=A,
        gap=0.014,
    ),
    Event(
        time=NOW - 11_400,
        node=A,
        kind=_ROLE,
        subject="MASTER",
        text=f"no more VRRP adverts from {B}",
        previous=B,
        gap=0.287,
    ),
    Event(
        time=NOW - 11_396,
        node=A,
        kind=EventKind.WARNING,
        subject="peer-unlinked",
        text=f"no link to {B}: the other node closed it",
    ),
    Event(time=NOW - 11_300, node=B, kind=EventKind.START, subject="0.1.0"),
    Event(time=NOW - 11_298, node=B, kind=_ROLE, subject="BACKUP"),
    Event(
        time=NOW - 11_297,
        node=A,
        kind=EventKind.SOLVED,
        subject="peer-unlinked",
        text=f"no link to {B}: the other node closed it",
    ),
    Event(
        time=NOW - 40_000,
        node=A,
        kind=EventKind.ERROR,
        subject="nginx-config",
        text='nginx rejects the configuration: [emerg] unknown directive "lisen" in '
        "/etc/nginx/conf.d/app.conf:2",
    ),
    Event(
        time=NOW - DAY,
        node="",
        kind=_SNAPSHOT,
        subject=OLDER,
        text="merged: conf.d/shop.conf added, conf.d/app.conf edited",
    ),
    Event(
        time=NOW - 5 * DAY, node=A, kind=_ROLE, subject="MASTER", text="no other node was MASTER"
    ),
    Event(time=NOW - 5 * DAY - 3, node=A, kind=EventKind.START, subject="0.1.0"),
)

MASTER: Final = NodeState(
    node=A, version="0.1.0", role=Role.MASTER, vips=(VIP,), eligible=True, head=HEAD, clock=NOW
)
BACKUP: Final = NodeState(
    node=B, version="0.1.0", role=Role.BACKUP, eligible=True, head=HEAD, clock=NOW
)


def _processes(since: float) -> tuple[ProcessReport, ...]:
    running = ServiceState.RUNNING
    return (
        ProcessReport(name="nginx", state=running, pid=41, since=since + 1),
        ProcessReport(name="keepalived", state=running, pid=57, restarts=1, since=since + 4),
        ProcessReport(name="sshd", state=running, pid=60, since=since + 2),
    )


def _valid(begin: float, end: float) -> Validity:
    return Validity(not_before=NOW + begin * DAY, not_after=NOW + end * DAY)


CHECKS: Final = (
    CheckReport(name="nginx", up=True, hard=True),
    CheckReport(name="gateway", up=True, hard=False),
    CheckReport(name="http://127.0.0.1:8080/health", up=True, hard=False),
)
OF_B: Final = Details(
    started=NOW - 11_300,
    synced=NOW - 61,
    processes=_processes(NOW - 11_300),
    checks=CHECKS,
)
OF_A: Final = replace(OF_B, started=NOW - 5 * DAY, processes=_processes(NOW - 5 * DAY))

PEER: Final = PeerReport(node=B, linked=True, state=BACKUP, age=0.4, clock_skew=-0.02, details=OF_B)
SYNC: Final = SyncReport(
    paths=("/etc/nginx",),
    head=HEAD,
    peers=(PeerSync(node=B, in_sync=True, last_success=NOW - 61),),
    snapshots=SNAPSHOTS,
    next_check=NOW + 200,
)
WELL: Final = Report(
    node=MASTER,
    started=NOW - 5 * DAY,
    priority=240,
    peers=(PEER,),
    vips=(VipReport(address=VIP, held=True, leased=True),),
    processes=_processes(NOW - 5 * DAY),
    checks=CHECKS,
    nginx=NginxReport(
        enabled=True,
        config_valid=True,
        certificates={
            "/etc/nginx/certs/app.example.com/fullchain.pem": _valid(-29, 61),
            "/etc/nginx/certs/shop.example.com/fullchain.pem": _valid(-47, 43),
        },
    ),
    sync=SYNC,
    events=tuple(sorted(EVENTS, key=lambda event: event.time, reverse=True)),
)


def _with_problems(report: Report) -> Report:
    return replace(report, problems=find(report))


def _as_backup() -> Report:
    of_a = PeerReport(node=A, linked=True, state=MASTER, age=0.2, clock_skew=0.02, details=OF_A)
    return replace(
        WELL,
        node=BACKUP,
        started=NOW - 11_300,
        peers=(of_a,),
        vips=(VipReport(address=VIP, held=False, leased=False),),
        processes=OF_B.processes,
    )


def _peer_down() -> Report:
    silent = replace(
        PEER, linked=False, age=187.0, error="no route to host: is the host up?", clock_skew=None
    )
    event = Event(
        time=NOW - 184,
        node=A,
        kind=EventKind.WARNING,
        subject="peer-unlinked",
        text=f"no link to {B}: no route to host",
    )
    return replace(
        WELL,
        peers=(silent,),
        sync=replace(SYNC, peers=(PeerSync(node=B, last_success=NOW - 190),)),
        events=(event, *WELL.events),
    )


def _held() -> Report:
    hold = Hold(
        reason="many-deletions",
        message="14 of 31 files were deleted at once",
        hint="if that was meant: ha sync release\nelse bring them back",
    )
    sync = replace(
        SYNC,
        holds=(hold,),
        draft=("/etc/nginx/conf.d/app.conf",),
        draft_count=14,
        overridden=("/etc/nginx/conf.d/shop.conf",),
        overridden_count=1,
    )
    certificates = {
        **WELL.nginx.certificates,
        "/etc/nginx/certs/shop.example.com/fullchain.pem": _valid(-86, 4),
        "/etc/nginx/certs/old.example.com/fullchain.pem": _valid(-91, -1),
    }
    return replace(WELL, sync=sync, nginx=replace(WELL.nginx, certificates=certificates))


def _draining() -> Report:
    drained = replace(BACKUP, draining=True)
    problem = Problem(
        code="draining",
        severity=Severity.WARNING,
        message="this node is drained: it serves only if no other node can",
        hint="when the maintenance is over: ha resume",
    )
    details = replace(OF_B, problems=(problem,))
    return replace(WELL, peers=(replace(PEER, state=drained, details=details),))


def _split() -> Report:
    other = replace(BACKUP, role=Role.MASTER, vips=(VIP,))
    return replace(WELL, peers=(replace(PEER, state=other),), split_brain=True)


def _other_version() -> Report:
    older = replace(BACKUP, version="0.0.9", head=OLDER)
    peers = (replace(PEER, state=older, details=None, clock_skew=-3.4),)
    in_sync = PeerSync(node=B, in_sync=False, last_success=NOW - 3000, error="timeout")
    return replace(WELL, peers=peers, sync=replace(SYNC, peers=(in_sync,)))


def _broken() -> Report:
    error = '[emerg] unknown directive "lisen" in /etc/nginx/conf.d/app.conf:2'
    down = ProcessReport(
        name="nginx", state=ServiceState.BACKOFF, restarts=7, since=NOW - 4, error=error
    )
    node = replace(MASTER, role=Role.FAULT, vips=(), eligible=False, hard=("nginx",))
    serving = replace(BACKUP, role=Role.MASTER, vips=(VIP,))
    checks = (CheckReport(name="nginx", up=False, hard=True, message=error), *CHECKS[1:])
    taken = Event(
        time=NOW - 9,
        node=B,
        kind=_ROLE,
        subject="MASTER",
        text=f"{A} handed the VIP over",
        previous=A,
        gap=0.012,
    )
    lost = Event(time=NOW - 9.1, node=A, kind=_ROLE, subject="FAULT", text="failed: nginx")
    return replace(
        WELL,
        node=node,
        peers=(replace(PEER, state=serving),),
        vips=(VipReport(address=VIP, held=False, leased=False),),
        processes=(down, *WELL.processes[1:]),
        checks=checks,
        nginx=replace(WELL.nginx, config_valid=False, config_error=error),
        events=(taken, lost, *WELL.events),
    )


def _three() -> Report:
    vip6 = "2001:db8:1234:5678:9abc:def0:1234:5678"
    master = replace(MASTER, vips=(VIP, vip6))
    third = PeerReport(node=C, linked=False)
    vips = (*WELL.vips, VipReport(address=vip6, held=True, leased=True))
    return replace(WELL, node=master, vips=vips, peers=(PEER, third))


def _hostile() -> Report:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&"
    event = Event(time=NOW - 5, node=evil, kind=_ROLE, subject=evil, text=evil, previous=evil)
    peer = replace(PEER, state=replace(BACKUP, soft=(evil,)), details=OF_B)
    return replace(WELL, events=(event,), peers=(peer,), why=evil)


STARTING: Final = Report(
    node=NodeState(node=A, version="0.1.0", clock=NOW),
    started=NOW - 1,
    priority=240,
    peers=(PeerReport(node=B, linked=False),),
    vips=(VipReport(address=VIP, held=False, leased=False),),
    processes=(ProcessReport(name="nginx", state=ServiceState.STARTING),),
    checks=(CheckReport(name="nginx", up=None, hard=True),),
    sync=SyncReport(paths=("/etc/nginx",), holds=(Hold(reason="off", message="starting"),)),
)

STATES: Final[Mapping[str, Report]] = {
    name: _with_problems(report)
    for name, report in {
        "well": WELL,
        "backup": _as_backup(),
        "peer-down": _peer_down(),
        "held": _held(),
        "draining": _draining(),
        "split": _split(),
        "other-version": _other_version(),
        "broken": _broken(),
        "three": _three(),
        "starting": STARTING,
        "hostile": _hostile(),
    }.items()
}
"""By name, as the pictures are called."""
