"""Reports for tests of what shows them."""

from sidecar.core.report import (
    CheckReport,
    ContainersReport,
    DiskReport,
    LoopReport,
    NginxReport,
    NodeState,
    PeerReport,
    Problem,
    ProcessReport,
    Report,
    Role,
    ServerReport,
    ServiceState,
    Severity,
    SiteReport,
    StubStatus,
    Validity,
    VipReport,
    VrrpCounters,
    VrrpReport,
)
from sidecar.core.sync_report import Hold, PeerSync, SyncReport

NOW = 1_790_000_000.0

EMPTY = Report(node=NodeState(node="192.0.2.11", version="0.1.0"), started=0.0, priority=240)
"""What a node knows in its first moment."""

MASTER = NodeState(
    node="192.0.2.11",
    version="0.1.0",
    role=Role.MASTER,
    vips=("192.0.2.10",),
    eligible=True,
    soft=("gateway",),
    clock=NOW,
)
BACKUP = NodeState(node="192.0.2.12", version="0.1.0", role=Role.BACKUP, eligible=True, clock=NOW)

FULL = Report(
    node=MASTER,
    started=NOW - 3 * 3600 - 12 * 60,
    priority=240,
    why="no eligible peer is better",
    peers=(
        PeerReport(node="192.0.2.12", linked=True, state=BACKUP, age=0.4, clock_skew=-0.25),
        PeerReport(
            node="192.0.2.13",
            linked=False,
            state=NodeState(node="192.0.2.13", version="0.1.0", role=Role.MASTER),
            age=95.0,
            error="refused",
        ),
        PeerReport(node="192.0.2.14", linked=False),
    ),
    vips=(
        VipReport(address="192.0.2.10", held=True, leased=True),
        VipReport(address="2001:db8::10", held=False, leased=False),
    ),
    processes=(
        ProcessReport(name="nginx", state=ServiceState.RUNNING, pid=21, since=NOW - 90),
        ProcessReport(
            name="sshd",
            state=ServiceState.BACKOFF,
            restarts=3,
            since=NOW - 4,
            error="exit code 255: Bind to port 8730 failed",
        ),
    ),
    checks=(
        CheckReport(name="nginx", up=True, hard=True),
        CheckReport(name="gateway", up=False, hard=False, message="192.0.2.1 does not answer"),
        CheckReport(name="http://127.0.0.1/ok", up=None, hard=False),
    ),
    vrrp=VrrpReport(
        instance="VI_1",
        interface="eth0",
        vrid=10,
        role=Role.MASTER,
        priority=240,
        effective_priority=240,
        last_transition=NOW - 60,
        vips=("192.0.2.10",),
        excluded_vips=("2001:db8::10",),
        counters=VrrpCounters(
            advert_received=1,
            advert_sent=2,
            become_master=3,
            release_master=4,
            packet_length_errors=5,
            advert_interval_errors=6,
            ip_ttl_errors=7,
            invalid_type_received=8,
            address_list_errors=9,
            authentication_invalid=10,
            authentication_type_mismatch=11,
            authentication_failure=12,
            priority_zero_received=13,
            priority_zero_sent=14,
        ),
        garp_delay=5.0,
    ),
    nginx=NginxReport(
        enabled=True,
        config_valid=True,
        stub_status=StubStatus(
            active=1, accepted=20, handled=19, requests=31, reading=0, writing=1, waiting=2
        ),
        reloads={"success": 4},
        certificates={
            "/etc/nginx/certs/example.org/fullchain.pem": Validity(
                not_before=NOW - 89 * 86400, not_after=NOW + 86400
            )
        },
        servers=(
            ServerReport(
                host="shop.example.org",
                file="conf.d/shop.conf",
                certificate="/etc/nginx/certs/shop.pem",
            ),
            ServerReport(host="0.0.0.0:5432", file="stream.d/db.conf"),
        ),
    ),
    sync=SyncReport(
        paths=("/etc/nginx",),
        head="3f2a9c81d0be" + "0" * 52,
        draft=tuple(f"/etc/nginx/conf.d/{letter}.conf" for letter in "abcde"),
        draft_count=2000,
        draft_error='[emerg] unknown directive "lisen" in /etc/nginx/conf.d/a.conf:1',
        rejected={"8c1d2e3f4a5b" + "0" * 52: "[emerg] cannot load certificate"},
        holds=(
            Hold(reason="draft", message="192.0.2.12 has a newer one", hint="correct it"),
            Hold(reason="diverged", message="192.0.2.13 and this node differ"),
            Hold(reason="diverged", message="192.0.2.14 and this node differ"),
        ),
        peers=(
            PeerSync(
                node="192.0.2.12",
                in_sync=True,
                last_success=NOW - 4,
                runs={"success": 2, "nothing": 40},
            ),
            PeerSync(
                node="192.0.2.13",
                in_sync=False,
                last_success=NOW - 95,
                runs={"failure": 1},
                error="cannot fetch from 192.0.2.13: timeout",
            ),
            PeerSync(node="192.0.2.14"),
        ),
        last_duration=0.21,
        next_check=NOW + 200,
        conflicts=1,
        overridden=("/etc/nginx/conf.d/own.conf",),
        overridden_count=1,
    ),
    containers=ContainersReport(
        sites=(
            SiteReport(
                host="app.example.org",
                path="/",
                up=True,
                replicas={"192.0.2.11": {"up": 2, "starting": 1}, "192.0.2.12": {"up": 1}},
                certificate="/etc/nginx/certs/app.example.org",
            ),
            SiteReport(
                host="down.example.org",
                path="/api/",
                up=False,
                replicas={"192.0.2.12": {"unhealthy": 1}},
            ),
        ),
        ignored=("container web: VIRTUAL_HOST='~x': regular expressions are not supported",),
        error="cannot ask Docker at unix:///var/run/docker.sock: No such file or directory",
    ),
    role_changes={"MASTER": 2, "BACKUP": 1},
    part_failures={"hooks": 1},
    loop=LoopReport(turns={"0.1": 40, "+Inf": 41}, seconds=0.5, long=1, longest=0.2, where="look"),
    disks=(DiskReport(path="/var/lib/ha", size=8_000_000_000, free=6_000_000_000),),
    polled=("/etc/nginx",),
    problems=(
        Problem(
            code="check-failed",
            severity=Severity.WARNING,
            message="check gateway fails: 192.0.2.1 does not answer",
            hint="look at the cable\nor at the router",
        ),
        Problem(code="peer-unlinked", severity=Severity.WARNING, message="no link to 192.0.2.13"),
        Problem(code="peer-unlinked", severity=Severity.WARNING, message="no link to 192.0.2.14"),
    ),
)
"""A report in which everything has a value."""
