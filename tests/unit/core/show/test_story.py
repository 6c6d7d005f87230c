from dataclasses import replace

import pytest

from sidecar.core.report import PeerReport, Problem, Role, Severity
from sidecar.core.show.story import (
    LASTING,
    Holding,
    Troubles,
    follow,
    holding,
    role_event,
    started,
    timeline_of,
)
from sidecar.core.sync_report import SnapshotReport, SyncReport
from sidecar.core.timeline import Advert, Event, EventKind
from tests.unit.reports import BACKUP, EMPTY, FULL, MASTER, NOW

NODE, PEER = MASTER.node, BACKUP.node
FAULTY = Problem(code="x", severity=Severity.ERROR, message="it fails", about="nginx")


def seen(*looks: tuple[float, tuple[Problem, ...]]) -> list[tuple[float, EventKind, str]]:
    """Return the events of looks at the problems, each at a time."""
    troubles: Troubles = {}
    found = []
    for now, problems in looks:
        troubles, events = follow(troubles, problems, now=now, clock=NOW + now, node=NODE)
        found += [(event.time - NOW, event.kind, event.text) for event in events]
    return found


def role(advert: Advert | None, **changes: object) -> Event:
    given = {"node": NODE, "role": Role.MASTER, "before": Role.BACKUP, "clock": NOW, "why": ""}
    return role_event(**(given | changes), advert=advert, silence=0.3)  # type: ignore[arg-type]


def change(subject: str, node: str, time: float, **changes: str) -> Event:
    return Event(time=time, node=node, kind=EventKind.ROLE, subject=subject, **changes)  # type: ignore[arg-type]


def test_a_problem_that_lasts_is_an_event_of_when_it_began_and_of_when_it_ended() -> None:
    assert seen((0, (FAULTY,)), (LASTING, (FAULTY,)), (9, ()), (9 + LASTING, ()), (99, ())) == [
        (0, EventKind.ERROR, "it fails"),
        (9, EventKind.SOLVED, "it fails"),
    ]


def test_a_problem_that_does_not_last_is_none() -> None:
    assert seen((0, (FAULTY,)), (1, ()), (2, (FAULTY,)), (4, ()), (20, ())) == []


def test_a_problem_that_is_gone_for_a_moment_goes_on() -> None:
    gone = [(0, (FAULTY,)), (LASTING, (FAULTY,)), (5, ()), (6, (FAULTY,)), (20, (FAULTY,))]
    assert len(seen(*gone)) == 1


def test_a_problem_is_the_same_when_its_words_change_and_another_one_is_not() -> None:
    later = replace(FAULTY, message="it fails again")
    other = replace(FAULTY, about="sshd", severity=Severity.WARNING)
    found = seen((0, (FAULTY, other)), (LASTING, (later, other)), (9, (later, other)))
    assert [(kind, text) for _, kind, text in found] == [
        (EventKind.WARNING, "it fails"),
        (EventKind.ERROR, "it fails again"),
    ]


@pytest.mark.parametrize(
    ("advert", "text", "previous", "gap"),
    [
        (None, "no other node was MASTER", "", None),
        (Advert(source=PEER, priority=240, time=NOW - 100), "no other node was MASTER", "", None),
        (Advert(source=PEER, priority=240, time=NOW + 1), "no other node was MASTER", "", None),
        (
            Advert(source=PEER, priority=240, time=NOW - 0.31),
            f"no more VRRP adverts from {PEER}",
            PEER,
            0.31,
        ),
        (
            Advert(source=PEER, priority=0, time=NOW - 0.01),
            f"{PEER} handed the VIP over",
            PEER,
            0.01,
        ),
        (
            Advert(source=PEER, priority=140, time=NOW - 0.05),
            f"this node is preferred over {PEER}",
            PEER,
            0.05,
        ),
    ],
)
def test_a_new_master_knows_from_whom_and_after_what_time(
    advert: Advert | None, text: str, previous: str, gap: float | None
) -> None:
    event = role(advert)
    assert (event.text, event.previous) == (text, previous)
    assert event.gap == pytest.approx(gap)


@pytest.mark.parametrize(
    ("new", "before", "why", "text"),
    [
        (Role.FAULT, Role.MASTER, "failed: nginx", "failed: nginx"),
        (Role.BACKUP, Role.MASTER, "draining", "draining"),
        (Role.BACKUP, Role.MASTER, "", f"{PEER} took over"),
        (Role.BACKUP, Role.INIT, "", ""),
        (Role.INIT, Role.MASTER, "", "keepalived was stopped"),
    ],
)
def test_who_is_no_longer_master_says_why(new: Role, before: Role, why: str, text: str) -> None:
    advert = Advert(source=PEER, priority=240, time=NOW - 0.02)
    event = role(advert, role=new, before=before, why=why)
    assert (event.text, event.previous, event.gap) == (text, "", None)


def test_the_start_and_the_snapshots_are_events() -> None:
    start = started(NODE, "0.1.0", NOW)
    snapshot = SnapshotReport(id="a" * 64, time=NOW - 1, node=PEER, summary="a.conf edited")
    report = replace(EMPTY, node=MASTER, sync=SyncReport(paths=(), snapshots=(snapshot,)))
    found = [(event.kind, event.node, event.text) for event in timeline_of(report, [start])]
    assert found == [
        (EventKind.START, NODE, ""),
        (EventKind.SNAPSHOT, PEER, "a.conf edited"),
    ]
    assert timeline_of(replace(report, sync=None), [start]) == (start,)


def test_the_holder_is_who_says_so_and_its_last_change_of_role_is_since_when() -> None:
    events = (
        change("BACKUP", PEER, NOW - 59),
        change("MASTER", NODE, NOW - 60, previous=PEER),
        change("FAULT", PEER, NOW - 60.2, text="failed: nginx"),
        change("MASTER", PEER, NOW - 500),
    )
    report = replace(FULL, events=events)
    assert holding(report) == Holding(
        nodes=(NODE,),
        unseen=("192.0.2.13", "192.0.2.14"),
        since=NOW - 60,
        failover=events[1],
        why="failed: nginx",
    )


def test_why_a_node_became_master_is_not_why_it_lost_that() -> None:
    events = (
        change("MASTER", NODE, NOW - 60, previous=PEER, text=f"no more VRRP adverts from {PEER}"),
        change("MASTER", PEER, NOW - 62, text="no other node was MASTER"),
    )
    assert holding(replace(FULL, events=events)).why == "no more VRRP adverts from it"


def test_what_is_not_known_of_the_holder_is_not_said() -> None:
    nobody = replace(EMPTY, peers=(PeerReport(node=PEER, linked=False, state=MASTER),))
    assert holding(nobody) == Holding(nodes=(), unseen=(PEER,))
    after_loss = replace(FULL, events=(change("BACKUP", NODE, NOW - 9),))
    assert holding(after_loss).since is None
    assert holding(replace(FULL, events=())).since is None


def test_in_a_split_brain_there_are_two() -> None:
    other = replace(BACKUP, role=Role.MASTER, vips=("192.0.2.10",))
    report = replace(FULL, peers=(PeerReport(node=PEER, linked=True, state=other),))
    assert holding(report).nodes == (NODE, PEER)
    assert holding(report).since is None
