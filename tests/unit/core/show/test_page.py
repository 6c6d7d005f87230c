from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from sidecar.core.report import (
    Details,
    NginxReport,
    PeerReport,
    Problem,
    ProcessReport,
    Report,
    Role,
    ServiceState,
    Severity,
    Validity,
)
from sidecar.core.show.cards import NodeCard
from sidecar.core.show.page import Page, page_of
from sidecar.core.show.tones import Tone
from sidecar.core.sync_report import PeerSync, Progress, SnapshotReport, SyncReport
from sidecar.core.timeline import Event, EventKind
from tests.unit.reports import BACKUP, EMPTY, FULL, MASTER, NOW

UTC = ZoneInfo("UTC")
LINKED = PeerReport(node=BACKUP.node, linked=True, state=BACKUP, age=0.2, clock_skew=0.0)
WELL = replace(FULL, node=MASTER, peers=(LINKED,), problems=(), events=(), sync=None)
DAY = 86400.0


def page(report: Report = WELL, **changes: object) -> Page:
    return page_of(replace(report, **changes), UTC)  # type: ignore[arg-type]


def facts(card: NodeCard) -> dict[str, tuple[str, Tone]]:
    return {name: (badge.text, badge.tone) for name, badge in card.facts}


def peer(state: object = BACKUP, **changes: object) -> NodeCard:
    told = replace(LINKED, state=state, **changes)  # type: ignore[arg-type]
    return page(peers=(told,)).nodes[1]


def test_a_pair_that_is_well_says_so() -> None:
    now = page()
    assert (now.headline, now.tone) == ("192.0.2.11 holds the VIP", Tone.GOOD)
    assert now.verdict.text == "192.0.2.12 is ready to take over."
    assert now.vips == ("192.0.2.10", "2001:db8::10")


def test_the_zone_of_its_times_is_named() -> None:
    summer = replace(FULL.node, clock=1_783_000_000.0)
    assert page_of(replace(FULL, node=summer), ZoneInfo("Europe/Berlin")).zone == "CEST"
    assert page().zone == "UTC"


@pytest.mark.parametrize(
    ("severity", "tone"), [(Severity.ERROR, Tone.BAD), (Severity.WARNING, Tone.WARN)]
)
def test_a_problem_of_any_node_takes_the_good_away(severity: Severity, tone: Tone) -> None:
    problem = Problem(code="x", severity=severity, message="it fails\nbadly", hint="mend\nit")
    details = Details(started=NOW, problems=(problem,))
    now = page(peers=(replace(LINKED, details=details),))
    assert now.tone is tone
    (trouble,) = now.problems
    assert (trouble.node, trouble.message, trouble.hint) == (
        BACKUP.node,
        ["it fails", "badly"],
        ["mend", "it"],
    )


def test_what_a_silent_peer_said_last_is_no_problem_of_now() -> None:
    problem = Problem(code="x", severity=Severity.ERROR, message="it fails")
    details = Details(started=NOW, problems=(problem,))
    assert page(peers=(replace(LINKED, linked=False, details=details),)).problems == ()


@pytest.mark.parametrize(
    ("states", "linked", "headline", "tone", "verdict"),
    [
        (
            (MASTER, replace(BACKUP, role=Role.MASTER, vips=("192.0.2.10",))),
            True,
            "Split brain: 192.0.2.11 and 192.0.2.12 hold the VIP",
            Tone.BAD,
            "Clients reach one or the other until the less preferred node steps down.",
        ),
        (
            (replace(MASTER, role=Role.FAULT, vips=()), BACKUP),
            True,
            "No node holds the VIP",
            Tone.BAD,
            "No node serves.",
        ),
        (
            (replace(MASTER, role=Role.FAULT, vips=()), BACKUP),
            False,
            "The VIP holder is unknown",
            Tone.UNKNOWN,
            "None of the nodes that answer holds it; 192.0.2.12 does not answer.",
        ),
        (
            (MASTER, BACKUP),
            False,
            "192.0.2.11 holds the VIP",
            Tone.GOOD,
            "No node is ready to take over: 192.0.2.12 does not answer.",
        ),
        (
            (MASTER, replace(BACKUP, eligible=False)),
            True,
            "192.0.2.11 holds the VIP",
            Tone.GOOD,
            "No node is ready to take over: no other node is eligible.",
        ),
    ],
)
def test_the_headline_says_who_serves_and_what_would_be(
    states: tuple[object, object], linked: bool, headline: str, tone: Tone, verdict: str
) -> None:
    now = page(node=states[0], peers=(replace(LINKED, state=states[1], linked=linked),))  # type: ignore[arg-type]
    assert (now.headline, now.tone, now.verdict.text) == (headline, tone, verdict)


def test_in_a_split_brain_no_master_looks_good() -> None:
    other = replace(BACKUP, role=Role.MASTER, vips=("192.0.2.10",))
    cards = page(peers=(replace(LINKED, state=other),)).nodes
    assert [card.role.tone for card in cards] == [Tone.BAD, Tone.BAD]
    assert page().nodes[0].role.tone is Tone.GOOD


def test_what_is_not_known_is_unknown_and_nothing_else() -> None:
    card = page(peers=(replace(LINKED, linked=False, age=125.0, error="no route"),)).nodes[1]
    assert (card.role.text, card.role.tone) == ("unknown", Tone.UNKNOWN)
    assert facts(card) == {
        "Link": ("down: no route", Tone.BAD),
        "Last seen": ("2 min ago, as BACKUP", Tone.UNKNOWN),
        "Version": ("0.1.0 when last seen", Tone.UNKNOWN),
        "Eligible": ("unknown", Tone.UNKNOWN),
        "VIPs": ("unknown", Tone.UNKNOWN),
        "Sync": ("unknown", Tone.UNKNOWN),
    }
    assert card.checks is card.processes is None


def test_a_peer_that_was_never_seen_has_no_past() -> None:
    card = page(peers=(PeerReport(node="192.0.2.14", linked=False),)).nodes[1]
    assert facts(card) == {
        "Link": ("down: not yet connected", Tone.BAD),
        "Last seen": ("not since this node started", Tone.UNKNOWN),
    }
    aged = replace(LINKED, linked=False, age=None)
    assert facts(page(peers=(aged,)).nodes[1])["Last seen"][0] == "some time ago, as BACKUP"


def test_a_peer_that_tells_less_is_unknown_in_that() -> None:
    card = peer()
    assert card.checks is card.processes is None
    assert facts(card)["Uptime"] == facts(card)["Last sync"] == ("unknown", Tone.UNKNOWN)
    told = peer(details=Details(started=NOW - 90, synced=NOW - 30, checks=FULL.checks))
    assert told.checks is not None
    assert facts(told)["Uptime"] == ("1 min", Tone.PLAIN)
    assert facts(told)["Last sync"] == ("30 s ago", Tone.PLAIN)


@pytest.mark.parametrize(
    ("skew", "shown", "tone"),
    [
        (None, "unknown", Tone.UNKNOWN),
        (0.02, "under 0.1 s", Tone.PLAIN),
        (-1.5, "-1.5 s", Tone.PLAIN),
        (9.0, "+9.0 s", Tone.WARN),
    ],
)
def test_the_clock_of_a_peer_is_compared(skew: float | None, shown: str, tone: Tone) -> None:
    assert facts(peer(clock_skew=skew))["Clock skew"] == (shown, tone)


@pytest.mark.parametrize(
    ("changes", "shown", "tone"),
    [
        ({}, "yes", Tone.GOOD),
        ({"eligible": False}, "no", Tone.BAD),
        ({"eligible": False, "hard": ("nginx", "vip")}, "no: nginx, vip", Tone.BAD),
        ({"eligible": False, "role": Role.INIT}, "not yet", Tone.WARN),
        ({"draining": True}, "drained: only as a last resort", Tone.WARN),
        ({"soft": ("gateway",)}, "yes, but failing: gateway", Tone.WARN),
    ],
)
def test_a_node_is_eligible_or_says_why_not(
    changes: dict[str, object], shown: str, tone: Tone
) -> None:
    assert facts(peer(replace(BACKUP, **changes)))["Eligible"] == (shown, tone)  # type: ignore[arg-type]


def test_a_peer_differs_in_version_and_snapshot() -> None:
    card = peer(replace(BACKUP, version="0.0.9", head="a" * 64))
    assert facts(card)["Version"] == ("0.0.9", Tone.WARN)
    assert facts(card)["Sync"] == ("not in sync", Tone.WARN)
    assert facts(peer())["Sync"] == ("nothing to sync yet", Tone.PLAIN)
    assert facts(peer())["Snapshot"] == ("none yet", Tone.PLAIN)
    same = SyncReport(paths=(), head="a" * 64)
    told = replace(LINKED, state=replace(BACKUP, head="a" * 64))
    assert facts(page(sync=same, peers=(told,)).nodes[1])["Sync"] == ("in sync", Tone.GOOD)
    fetching = replace(told, details=Details(started=NOW, fetching=Progress(done=1, total=2)))
    shown = facts(page(sync=same, peers=(fetching,)).nodes[1])["Sync"]
    assert shown == ("fetching 1 of 2 files", Tone.WARN)


@pytest.mark.parametrize(
    ("sync", "shown"),
    [
        (SyncReport(paths=()), "nothing to sync yet"),
        (SyncReport(paths=(), head="a", peers=(PeerSync(node="a"),)), "unknown"),
        (SyncReport(paths=(), head="a", peers=(PeerSync(node="a", in_sync=True),)), "in sync"),
        (
            SyncReport(
                paths=(),
                peers=(PeerSync(node="a", in_sync=True), PeerSync(node="b", in_sync=False)),
            ),
            "not in sync",
        ),
        (
            SyncReport(
                paths=(),
                peers=(
                    PeerSync(node="a", in_sync=False),
                    PeerSync(node="b", in_sync=False, fetching=Progress(done=1240, total=20_000)),
                ),
            ),
            "fetching 1,240 of 20,000 files from b",
        ),
        (SyncReport(paths=(), rejected={"a": "b"}), "a peer's snapshot was rejected"),
        (SyncReport(paths=(), draft_error="no"), "local change not accepted"),
        (FULL.sync, "held: draft, diverged"),
    ],
)
def test_the_own_sync_is_said_in_a_word(sync: SyncReport, shown: str) -> None:
    assert facts(page(sync=sync).nodes[0])["Sync"][0] == shown


def test_a_node_that_starts_knows_nothing_yet() -> None:
    now = page(EMPTY)
    assert now.headline == "No node holds the VIP"
    assert (now.since, now.failover, now.events) == (None, None, ())
    assert now.nodes[0].role.tone is Tone.WARN


def test_checks_and_processes_say_how_they_are() -> None:
    processes = (
        *FULL.processes,
        ProcessReport(name="keepalived", state=ServiceState.STARTING, restarts=1),
    )
    own = page(processes=processes).nodes[0]
    assert own.checks is not None
    assert [(line.badge.text, line.badge.tone, line.detail) for line in own.checks] == [
        ("up", Tone.GOOD, ""),
        ("down", Tone.WARN, "192.0.2.1 does not answer"),
        ("no answer yet", Tone.UNKNOWN, ""),
    ]
    assert own.processes is not None
    assert [(line.badge.tone, line.restarts, line.detail) for line in own.processes] == [
        (Tone.GOOD, "", "for 1 min"),
        (Tone.BAD, "3 restarts", "exit code 255: Bind to port 8730 failed"),
        (Tone.WARN, "1 restart", ""),
    ]
    hard = replace(FULL.checks[1], hard=True)
    failed = page(checks=(hard,)).nodes[0].checks
    assert failed is not None
    assert failed[0].badge.tone is Tone.BAD


def test_the_last_failover_says_why_and_how_long() -> None:
    silent = Event(
        time=NOW - 60,
        node=MASTER.node,
        kind=EventKind.ROLE,
        subject="MASTER",
        text=f"no more VRRP adverts from {BACKUP.node}",
        previous=BACKUP.node,
        gap=0.291,
    )
    now = page(events=(silent,))
    assert now.since is not None
    assert now.since.ago == "1 min ago"
    assert now.failover is not None
    assert now.failover.text == "192.0.2.11 took over from 192.0.2.12"
    assert (now.failover.why, now.failover.gap) == (
        "no more VRRP adverts from it",
        "0.29 s without a MASTER",
    )
    last = replace(silent, node=BACKUP.node, subject="BACKUP", text="draining", previous="")
    drained = page(events=(replace(silent, gap=None), last)).failover
    assert drained is not None
    assert (drained.why, drained.gap) == ("draining", "")


def test_every_kind_of_event_has_its_words() -> None:
    def event(kind: EventKind, subject: str, text: str = "") -> Event:
        return Event(time=NOW, node="", kind=kind, subject=subject, text=text)

    shown = page(
        events=(
            event(EventKind.START, "0.1.0"),
            event(EventKind.SNAPSHOT, "a" * 64, "a.conf edited"),
            event(EventKind.ERROR, "x", "it fails"),
            event(EventKind.ROLE, "BACKUP"),
            event(EventKind.ROLE, "FAULT", "failed: nginx"),
            event(EventKind.ROLE, "KING"),
        )
    ).events
    assert [(one.badge.text, one.text) for one in shown] == [
        ("start", "kiss-ha 0.1.0 started"),
        ("snapshot", "aaaaaaaaaaaa: a.conf edited"),
        ("error", "it fails"),
        ("BACKUP", "standing by"),
        ("FAULT", "failed: nginx"),
        ("KING", ""),
    ]
    assert shown[-1].badge.tone is Tone.UNKNOWN
    assert {one.node for one in shown} == {"all nodes"}


def test_snapshots_are_listed_and_the_live_one_is_marked() -> None:
    snapshots = (
        SnapshotReport(id="a" * 64, time=NOW + 30, node="192.0.2.11", summary="x"),
        SnapshotReport(id="b" * 64, time=253_402_300_799.0),
    )
    now = page(sync=SyncReport(paths=(), head="a" * 64, snapshots=snapshots))
    assert [(one.id, one.live, one.node) for one in now.snapshots] == [
        ("a" * 12, True, "192.0.2.11"),
        ("b" * 12, False, "all nodes"),
    ]
    assert now.snapshots[0].when.ago == "in 30 s"
    late = page(sync=SyncReport(paths=(), snapshots=(SnapshotReport(id="c", time=2.0**40),)))
    assert (late.snapshots[0].when.iso, late.snapshots[0].when.text) == ("", "?")


def test_certificates_come_with_what_is_left_of_them() -> None:
    nginx = NginxReport(
        enabled=True,
        certificates={
            "/etc/nginx/a.pem": Validity(not_before=NOW - DAY, not_after=NOW + 89 * DAY),
            "/etc/nginx/b.pem": Validity(not_before=NOW - 80 * DAY, not_after=NOW + 1.5 * DAY),
            "/etc/nginx/c.pem": Validity(not_before=NOW - DAY, not_after=NOW + DAY / 2),
            "/etc/nginx/d.pem": Validity(not_before=NOW - DAY, not_after=NOW),
        },
    )
    now = page(nginx=nginx, sync=SyncReport(paths=("/etc/nginx",)))
    assert [(one.path, one.left.text, one.left.tone) for one in now.certificates] == [
        ("d.pem", "expired", Tone.BAD),
        ("c.pem", "12 h 0 min left", Tone.PLAIN),
        ("b.pem", "1 day left", Tone.WARN),
        ("a.pem", "89 days left", Tone.PLAIN),
    ]


def test_sites_of_containers_are_shown_those_that_are_down_first() -> None:
    shown = [(one.name, one.up.text, one.served_by) for one in page_of(FULL, UTC).sites]
    assert shown == [
        ("down.example.org/api", "down", "192.0.2.12: 1 unhealthy"),
        ("app.example.org", "up", "192.0.2.11: 1 starting, 2 up; 192.0.2.12: 1 up"),
    ]
