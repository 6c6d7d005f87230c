from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from sidecar.core.report import (
    Details,
    NodeState,
    PeerReport,
    Problem,
    Report,
    Role,
    Severity,
    VipReport,
)
from sidecar.core.show.notices import (
    GATHERED,
    LASTING,
    LINES,
    MOST,
    SETTLED,
    WITHIN,
    Kind,
    Message,
    Notices,
    joined,
    speaks,
)
from sidecar.core.timeline import Event, EventKind

A, B, C, VIP = "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.10"


def node(name: str, role: Role = Role.BACKUP, **more: object) -> NodeState:
    vips = (VIP,) if role is Role.MASTER else ()
    state = NodeState(node=name, version="0.1.0", role=role, vips=vips, eligible=True)
    return replace(state, **more)  # type: ignore[arg-type] # the fields of a state


def peer(state: NodeState, *problems: Problem, linked: bool = True) -> PeerReport:
    details = Details(started=0.0, problems=problems)
    return PeerReport(node=state.node, linked=linked, state=state, details=details)


def problem(code: str, severity: Severity = Severity.WARNING, hint: str = "") -> Problem:
    return Problem(code=code, severity=severity, message=f"{code}!", hint=hint)


def seen(own: NodeState, *peers: PeerReport, problems: Iterable[Problem] = ()) -> Report:
    return Report(node=own, started=0.0, priority=240, peers=peers, problems=tuple(problems))


@dataclass
class Node:
    """One that looks each second, and what it has sent."""

    known: Notices = field(default_factory=Notices)
    now: float = 1000.0
    sent: list[Message] = field(default_factory=list)

    def see(self, report: Report, *, seconds: float = 1.0) -> list[Message]:
        """Look at the same report for some seconds; return what was sent in them."""
        before = len(self.sent)
        end = self.now + seconds
        while self.now < end:
            now = replace(report, node=replace(report.node, clock=self.now))
            self.known, message = self.known.after(self.now, now).take(self.now)
            self.sent += [message] if message else []
            self.now += 1.0
        return self.sent[before:]


LONG = LASTING + GATHERED + 2
AFTER_A_MOVE = SETTLED + GATHERED + 2
MASTER, BACKUP = node(A, Role.MASTER), node(B)
GONE = peer(MASTER, linked=False)
HELD = VipReport(address=VIP, held=True, leased=True)


def told(messages: list[Message]) -> str:
    (message,) = messages
    return f"{message.kind}: {message.title}: {message.body}"


def became_master(name: str, time: float, **more: object) -> Event:
    event = Event(time=time, node=name, kind=EventKind.ROLE, subject=Role.MASTER)
    return replace(event, **more)  # type: ignore[arg-type] # the fields of an event


def test_a_new_master_says_so_with_the_gap_and_why() -> None:
    new, begun = Node(), 1000.5
    new.see(seen(BACKUP, peer(MASTER)))
    taken = became_master(B, begun, previous=A, gap=0.287, text=f"no more VRRP adverts from {A}")
    report = replace(seen(node(B, Role.MASTER), GONE), events=(taken,), vips=(HELD,))
    messages = new.see(report, seconds=AFTER_A_MOVE)
    assert told(messages) == (
        f"warning: {B} is MASTER: {B} took over {VIP} from {A}. "
        f"There was no MASTER for at most 0.3 s. Cause: no more VRRP adverts from it."
    )
    assert new.see(report, seconds=60) == []


def test_why_a_master_gave_way_is_told_in_its_own_words() -> None:
    new = Node()
    new.see(seen(BACKUP, peer(MASTER)))
    taken = became_master(B, 1000.5, previous=A, gap=0.01, text=f"{A} handed the VIP over")
    left = replace(became_master(A, 1000.4, text="failed: nginx"), subject=Role.FAULT)
    report = replace(seen(node(B, Role.MASTER), peer(node(A))), events=(taken, left))
    assert told(new.see(report, seconds=AFTER_A_MOVE)).endswith("Cause: failed: nginx.")


def test_a_gap_that_nobody_measured_is_not_told() -> None:
    new = Node()
    new.see(seen(BACKUP, peer(MASTER)))
    taken = became_master(B, 1000.5, previous=A, text="something")
    report = replace(seen(node(B, Role.MASTER), peer(node(A))), events=(taken,))
    assert told(new.see(report, seconds=AFTER_A_MOVE)).endswith(
        f"{B} took over the VIP from {A}. Cause: something."
    )


def test_the_first_master_of_a_cluster_is_no_failover() -> None:
    first = Node()
    first.see(seen(node(A, Role.INIT)))
    taken = became_master(A, 1000.5, text="no other node was MASTER")
    report = replace(seen(MASTER, peer(BACKUP)), events=(taken,), vips=(HELD,))
    assert told(first.see(report, seconds=AFTER_A_MOVE)) == (
        f"info: {A} is MASTER: {A} took {VIP}: no other node was MASTER."
    )


def test_what_happened_before_the_first_look_or_to_others_is_not_told() -> None:
    old = became_master(A, 900.0, previous=B, text="no more VRRP adverts from it")
    other = became_master(B, 1000.5, previous=A, text="no more VRRP adverts from it")
    report = replace(seen(node(A), peer(node(B, Role.MASTER))), events=(other, old))
    assert Node().see(report, seconds=60) == []


def test_a_problem_is_told_once_it_lasts_and_again_when_it_is_over() -> None:
    master = Node()
    well = seen(MASTER, peer(BACKUP))
    master.see(well, seconds=AFTER_A_MOVE)
    ill = seen(MASTER, peer(BACKUP), problems=[problem("nginx-config", Severity.ERROR, "mend it")])
    assert master.see(ill, seconds=LASTING) == []
    assert told(master.see(ill, seconds=5)) == (
        f"failure: nginx-config on {A}: Problem on {A}: nginx-config!\n  mend it"
    )
    assert master.see(ill, seconds=300) == []
    assert master.see(well, seconds=LASTING) == []
    assert told(master.see(well, seconds=5)) == (
        f"success: nginx-config on {A} is resolved: "
        f"Resolved on {A} after 5 min: nginx-config!\n  mend it"
    )
    assert master.see(well, seconds=60) == []


def test_what_comes_and_goes_is_no_problem_and_what_is_gone_for_a_moment_is_not_over() -> None:
    master = Node()
    well = seen(MASTER, peer(BACKUP))
    ill = seen(MASTER, peer(BACKUP), problems=[problem("clock-skew")])
    master.see(well, seconds=AFTER_A_MOVE)
    for _ in range(5):
        assert master.see(ill, seconds=5) == []
        assert master.see(well, seconds=5) == []
    assert len(master.see(ill, seconds=LONG)) == 1
    for _ in range(5):
        assert master.see(well, seconds=5) == []
        assert master.see(ill, seconds=5) == []


def test_the_master_tells_of_the_problems_of_others() -> None:
    master = Node()
    master.see(seen(MASTER, peer(BACKUP)), seconds=AFTER_A_MOVE)
    ill = peer(BACKUP, problem("sync-held", hint="decide"), problem("sync-held"))
    messages = master.see(seen(MASTER, ill), seconds=LONG)
    assert told(messages) == (
        f"warning: sync-held on {B}: Problem on {B}: sync-held!\n  decide\nsync-held!"
    )


def test_what_is_between_two_nodes_is_told_once() -> None:
    master = Node()
    master.see(seen(MASTER, peer(BACKUP)), seconds=AFTER_A_MOVE)
    ill = peer(BACKUP, problem("clock-skew"), problem("versions-differ"))
    report = seen(MASTER, ill, problems=[problem("clock-skew")])
    (message,) = master.see(report, seconds=LONG)
    assert message.title == f"clock-skew on {A} (and 1 more)"
    assert "versions-differ" not in message.body.split("\n\n", maxsplit=1)[0]


def test_a_backup_keeps_quiet_and_its_successor_neither_repeats_nor_forgets() -> None:
    backup = Node()
    ill = peer(MASTER, problem("sync-held"))
    assert backup.see(seen(BACKUP, ill), seconds=LONG) == []
    held = peer(node(A), problem("sync-held"))
    assert backup.see(seen(node(B, Role.MASTER), held), seconds=LONG) == []
    over = backup.see(seen(node(B, Role.MASTER), peer(node(A))), seconds=LONG)
    assert [message.title for message in over] == [f"sync-held on {A} is resolved"]


def test_what_nobody_could_say_is_said_by_the_next_master() -> None:
    backup = Node()
    backup.see(seen(BACKUP, peer(MASTER)))
    alone = seen(BACKUP, GONE, problems=[problem("peer-unlinked")])
    assert backup.see(alone, seconds=LONG) == []
    taken = became_master(B, backup.now, previous=A, text=f"no more VRRP adverts from {A}")
    report = replace(alone, node=node(B, Role.MASTER), events=(taken,))
    (message,) = backup.see(report, seconds=AFTER_A_MOVE)
    assert "peer-unlinked" in message.body
    assert "no more VRRP adverts from it" in message.body


def test_what_is_not_known_is_not_over() -> None:
    master = Node()
    master.see(seen(MASTER, peer(BACKUP, problem("sync-held"))), seconds=LONG)
    silent = seen(MASTER, peer(BACKUP, linked=False))
    assert not [one for one in master.see(silent, seconds=60) if "resolved" in one.title]
    assert "resolved" in told(master.see(seen(MASTER, peer(BACKUP)), seconds=LONG))


def test_of_a_node_that_goes_before_its_problem_lasted_nothing_is_told() -> None:
    master = Node()
    master.see(seen(MASTER, peer(BACKUP)), seconds=AFTER_A_MOVE)
    master.see(seen(MASTER, peer(BACKUP, problem("sync-held"))), seconds=5)
    assert master.see(seen(MASTER, peer(BACKUP, linked=False)), seconds=60) == []


def test_a_fault_that_is_no_speaker_says_nothing_of_an_end() -> None:
    fault = Node()
    ill = seen(node(B, Role.FAULT), peer(MASTER), problems=[problem("nginx-config")])
    fault.see(ill, seconds=LONG)
    assert fault.see(seen(node(B, Role.FAULT), peer(MASTER)), seconds=LONG) == []


@pytest.mark.parametrize(
    ("own", "peers", "does"),
    [
        (MASTER, [peer(BACKUP)], True),
        (BACKUP, [peer(MASTER)], False),
        (BACKUP, [], False),
        (BACKUP, [GONE], False),
        (MASTER, [peer(node(B, Role.MASTER))], True),
        (node(B, Role.MASTER), [peer(MASTER)], False),
        (node(A, Role.FAULT), [peer(node(B, Role.FAULT))], True),
        (node(B, Role.FAULT), [peer(node(A, Role.FAULT))], False),
        (node(B, Role.FAULT), [GONE], True),
    ],
)
def test_one_node_speaks(own: NodeState, peers: list[PeerReport], does: bool) -> None:
    assert speaks(seen(own, *peers)) is does


def test_messages_are_few_and_what_waits_is_told_together() -> None:
    master = Node()
    master.see(seen(MASTER, peer(BACKUP)), seconds=AFTER_A_MOVE)
    for number in range(2 * MOST):
        ill = seen(MASTER, peer(BACKUP), problems=[problem(f"p{number}")])
        master.see(ill, seconds=LONG)
    assert len(master.sent) == MOST
    rest = master.see(seen(MASTER, peer(BACKUP)), seconds=WITHIN)
    assert rest
    assert all(f": p{number}!" in str(master.sent) for number in range(2 * MOST))


def test_a_message_is_as_bad_as_its_worst_line_and_not_endless() -> None:
    lines = [Message(title=f"t{n}", body=f"b{n}", kind=Kind.SUCCESS) for n in range(LINES + 5)]
    lines[3] = replace(lines[3], kind=Kind.FAILURE)
    message = joined(lines)
    assert (message.title, message.kind) == (f"t3 (and {LINES + 4} more)", Kind.FAILURE)
    assert message.body.count("\n\n") == LINES
    assert message.body.endswith("… and 5 more: see `ha status`.")
