import re
from dataclasses import replace

import pytest

from sidecar.core.report import (
    CheckReport,
    NodeState,
    PeerReport,
    Problem,
    Report,
    Role,
    Severity,
    VipReport,
)
from sidecar.core.show.present import Style, ineligible_because, span, status_text, summary
from sidecar.core.show.table import Cell, table
from sidecar.core.sync_report import PeerSync, Progress, SyncReport
from sidecar.core.timeline import Event, EventKind
from tests.unit.reports import EMPTY, FULL, MASTER, NOW

FULL_TEXT = """\
kiss-ha 0.1.0 on 192.0.2.11, up 3 h 12 min

192.0.2.11 holds the VIP.

NODE        ROLE    VIPS        ELIGIBLE               LINK
192.0.2.11  MASTER  192.0.2.10  yes, failing: gateway  this node
192.0.2.12  BACKUP  -           yes                    up, 0.4 s ago
192.0.2.13  ?       ?           ?                      down, last seen 1 min ago as MASTER: refused
192.0.2.14  ?       ?           ?                      down, never seen

Election: no eligible peer is better

VIP           HERE  LEASED
192.0.2.10    yes   yes
2001:db8::10  no    -

CHECK                RESULT  KIND  DETAIL
nginx                up      hard
gateway              down    soft  192.0.2.1 does not answer
http://127.0.0.1/ok  ?       soft

PROCESS  STATE    PID  RESTARTS  UPTIME  DETAIL
nginx    running  21   0         1 min
sshd     backoff  -    3         -       exit code 255: Bind to port 8730 failed

Sync: snapshot 3f2a9c81d0be of /etc/nginx, next check in 3 min (the last took 0.2 s)
Draft: conf.d/a.conf, conf.d/b.conf, conf.d/c.conf and 1997 more
Held: draft, diverged
1 conflict: ha conflicts
Rejected: 8c1d2e3f4a5b
PEER        SYNCED  LAST       DETAIL
192.0.2.12  yes     4.0 s ago
192.0.2.13  no      1 min ago  cannot fetch from 192.0.2.13: timeout
192.0.2.14  ?       never

Container sites: 2, 1 down (ha sites)

PROBLEMS
warning check-failed: check gateway fails: 192.0.2.1 does not answer
  look at the cable
  or at the router
warning peer-unlinked: no link to 192.0.2.13
warning peer-unlinked: no link to 192.0.2.14"""

EMPTY_TEXT = """\
kiss-ha 0.1.0 on 192.0.2.11, up 0.0 s

No node that answers holds the VIP.

NODE        ROLE  VIPS  ELIGIBLE  LINK
192.0.2.11  INIT  -     no        this node

No problems."""


@pytest.mark.parametrize(("report", "text"), [(FULL, FULL_TEXT), (EMPTY, EMPTY_TEXT)])
def test_the_status_is_a_page_of_text(report: Report, text: str) -> None:
    assert status_text(report) == text


def test_a_node_that_has_no_snapshot_yet_says_so() -> None:
    report = replace(EMPTY, sync=SyncReport(paths=("/srv/a", "/srv/b")))
    assert "\nSync: no snapshot yet of /srv/a, /srv/b\n" in status_text(report)


def test_a_fetch_is_shown_with_how_far_it_is() -> None:
    peer = PeerSync(node="b", in_sync=False, fetching=Progress(done=1240, total=20_000))
    sync = SyncReport(paths=("/etc/nginx",), peers=(peer,))
    assert "fetching 1,240 of 20,000 files" in status_text(replace(EMPTY, sync=sync))


def test_colours_change_nothing_but_colours() -> None:
    colored = status_text(FULL, Style(color=True))
    assert "\x1b[32mMASTER\x1b[0m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored).split() == FULL_TEXT.split()


def test_in_a_terminal_it_fits_80_columns() -> None:
    wide = replace(FULL, why="no eligible peer is better, and " * 5)
    lines = status_text(wide, Style(width=80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert re.split(r"\s+", " ".join(lines)) == re.split(r"\s+", status_text(wide))


def test_what_is_too_wide_for_any_column_stands_below() -> None:
    names = ["a" * 30, "b" * 30]
    rows = [[Cell(name) for name in names] + [Cell("it does not answer at all: " * 3)]]
    assert table("A B C", rows, color=False, width=80).splitlines() == [
        f"A{' ' * 31}B{' ' * 31}C",
        f"{names[0]}  {names[1]}",
        "    it does not answer at all: it does not answer at all: it does not answer at",
        "    all:",
    ]


def test_the_first_lines_say_who_serves_and_why() -> None:
    taken = Event(
        time=NOW - 7200,
        node="192.0.2.11",
        kind=EventKind.ROLE,
        subject="MASTER",
        text="no more VRRP adverts from 192.0.2.12",
        previous="192.0.2.12",
        gap=0.287,
    )
    text = status_text(replace(FULL, events=(taken,)))
    assert "\n192.0.2.11 holds the VIP, for 2 h 0 min.\n" in text
    assert (
        "\nLast failover: 2 h 0 min ago, from 192.0.2.12 to 192.0.2.11: "
        "no more VRRP adverts from it, 0.29 s without a MASTER.\n"
    ) in text
    unmeasured = status_text(replace(FULL, events=(replace(taken, gap=None),)))
    assert "no more VRRP adverts from it.\n" in unmeasured


def test_what_is_not_known_of_the_holder_is_said() -> None:
    silent = PeerReport(node="192.0.2.12", linked=False)
    text = status_text(replace(EMPTY, peers=(silent,)))
    assert "\nNo node that answers holds the VIP; unknown: 192.0.2.12.\n" in text
    other = replace(MASTER, node="192.0.2.12")
    both = replace(FULL, peers=(PeerReport(node="192.0.2.12", linked=True, state=other),))
    assert "\nSplit brain: 192.0.2.11 and 192.0.2.12 hold the VIP.\n" in status_text(both)


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    peer = PeerReport(node="192.0.2.12", linked=False, error="\x1b[2Jgone\nMASTER")
    problem = Problem(code="nginx-config", severity=Severity.ERROR, message="\x1b]0;x\x07")
    text = status_text(replace(FULL, peers=(peer,), problems=(problem,)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "?[2Jgone?MASTER" in text


@pytest.mark.parametrize(
    ("node", "word"),
    [
        (replace(MASTER, soft=()), "yes"),
        (replace(MASTER, soft=("gateway", "x")), "yes, failing: gateway, x"),
        (replace(MASTER, soft=(), draining=True), "draining"),
        (replace(MASTER, draining=True), "draining, failing: gateway"),
        (replace(MASTER, eligible=False, hard=("nginx", "vip")), "no: nginx, vip"),
        (replace(MASTER, eligible=False), "no"),
    ],
)
def test_eligibility_is_said_in_words(node: NodeState, word: str) -> None:
    assert re.search(
        rf"^192.0.2.11  MASTER  192.0.2.10  {word} +this node$",
        status_text(replace(EMPTY, node=node)),
        re.MULTILINE,
    )


def test_a_vip_without_a_lease_shows() -> None:
    vip = VipReport(address="192.0.2.10", held=True, leased=False)
    text = status_text(replace(EMPTY, vips=(vip,)))
    assert "192.0.2.10  yes   no\n" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10.0 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (10**6, "11 d 13 h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (FULL, ""),
        (EMPTY, "no health check has answered yet"),
        (replace(EMPTY, why="nginx starts"), "nginx starts"),
        (
            replace(
                EMPTY, problems=(Problem(code="x", severity=Severity.ERROR, message="no nginx"),)
            ),
            "no nginx",
        ),
        (
            replace(
                EMPTY,
                node=replace(EMPTY.node, hard=("nginx", "vip")),
                checks=(CheckReport(name="nginx", up=False, hard=True, message="refused"),),
            ),
            "nginx: refused; vip",
        ),
    ],
)
def test_a_node_that_could_not_serve_says_why(report: Report, why: str) -> None:
    assert ineligible_because(report) == why


def test_a_node_is_summed_up_in_a_line() -> None:
    assert summary(MASTER) == "192.0.2.11 is MASTER, holds 192.0.2.10"
    assert summary(replace(EMPTY.node, role=Role.FAULT, draining=True)) == (
        "192.0.2.11 is FAULT, draining"
    )


def test_the_status_counts_the_sites_of_containers() -> None:
    assert "Container sites: 2, 1 down (ha sites)" in status_text(FULL)
    assert "Container sites" not in status_text(EMPTY)
