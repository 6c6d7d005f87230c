"""What a node sees as events, and what people ask first: who serves, since when, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sidecar.core.report import Problem, Report, Role, Severity
from sidecar.core.sync_report import SnapshotReport
from sidecar.core.timeline import Advert, Event, EventKind, merged

LASTING: Final = 3.0
"""Seconds that a problem has to last to be an event, and to be gone to be resolved."""

HEARD: Final = 60.0
"""Seconds after which the last advert of a MASTER tells nothing about a takeover."""

SAME_TIME: Final = 5.0
"""Seconds between what two nodes say of the same change, their clocks being as they may."""

_DETAIL: Final = 300
"""Characters of what an event says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A problem that is followed; times are seconds of a monotonic clock but for `began`."""

    problem: Problem
    began: float
    """Unix time."""
    since: float
    gone: float | None = None
    told: bool = False


type Troubles = Mapping[tuple[str, str], Trouble]
"""By code and what they are about: their words may change meanwhile."""


def follow(
    troubles: Troubles, problems: Iterable[Problem], *, now: float, clock: float, node: str
) -> tuple[Troubles, tuple[Event, ...]]:
    """Return the troubles of `node` and what happened; given `now` (monotonic) and unix time."""
    present = {(problem.code, problem.about): problem for problem in reversed([*problems])}
    known = {key: trouble for key, trouble in troubles.items() if trouble.told or key in present}
    events, after = [], {}
    for key in {**known, **present}:
        problem = present.get(key)
        trouble = known.get(key)
        if trouble is None:
            assert problem is not None
            trouble = Trouble(problem=problem, began=clock, since=now)
        if problem is not None:
            trouble = replace(trouble, problem=problem, gone=None)
        elif trouble.gone is None:
            trouble = replace(trouble, gone=now)
        if problem is not None and not trouble.told and now - trouble.since >= LASTING:
            trouble = replace(trouble, told=True)
            events.append(_begun(trouble, node))
        if trouble.gone is not None and now - trouble.gone >= LASTING:
            events.append(_solved(trouble, clock - (now - trouble.gone), node))
            continue
        after[key] = trouble
    return after, tuple(events)


def role_event(
    *,
    node: str,
    role: Role,
    before: Role,
    clock: float,
    why: str,
    advert: Advert | None,
    silence: float,
) -> Event:
    """Return the change of a node's role, with what is known of its cause.

    Given: `why` in the election's words, the last advert that came from another node, and the
    seconds of `silence` after which keepalived takes a MASTER for gone.
    """
    heard = advert if advert is not None and 0 <= clock - advert.time < HEARD else None
    event = Event(time=clock, node=node, kind=EventKind.ROLE, subject=role, text=why[:_DETAIL])
    if role is Role.MASTER:
        if heard is None:
            return replace(event, text="no other node was MASTER")
        gap = clock - heard.time
        if heard.priority == 0:
            text = f"{heard.source} handed the VIP over"
        elif gap < 2 / 3 * silence:
            text = f"this node is preferred over {heard.source}"
        else:
            text = f"no more VRRP adverts from {heard.source}"
        return replace(event, text=text, previous=heard.source, gap=round(gap, 3))
    if role is Role.INIT:
        return replace(event, text=event.text or "keepalived was stopped")
    if before is Role.MASTER and not why and heard is not None:
        return replace(event, text=f"{heard.source} took over")
    return event


def started(node: str, version: str, clock: float) -> Event:
    """Return the start of a node."""
    return Event(time=clock, node=node, kind=EventKind.START, subject=version)


def of_snapshots(snapshots: Iterable[SnapshotReport]) -> Iterator[Event]:
    """Give the snapshots as events: every node makes the same of them."""
    for one in snapshots:
        yield Event(
            time=one.time,
            node=one.node,
            kind=EventKind.SNAPSHOT,
            subject=one.id,
            text=one.summary,
        )


def timeline_of(report: Report, events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events together with the snapshots that a node knows."""
    snapshots = of_snapshots(report.sync.snapshots) if report.sync is not None else ()
    return merged(events, snapshots, now=report.node.clock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who holds the VIP, as far as a node knows."""

    nodes: tuple[str, ...]
    """More than one in a split brain; none if no node that can be seen holds it."""
    unseen: tuple[str, ...]
    """Nodes that do not answer: one of them could hold it."""
    since: float | None = None
    """Unix time; None if that is not known, or not one node holds it."""
    failover: Event | None = None
    """The last time that a node took it from another one."""
    why: str = ""
    """Why that was, in the words of the node that lost it, or else of the one that took it."""


def holding(report: Report) -> Holding:
    """Return who holds the VIP."""
    failover = next((event for event in report.events if event.previous), None)
    nodes = tuple(
        node.node
        for node in (report.node, *report.linked())
        if node.role is Role.MASTER and node.vips
    )
    since = _became_master(report.events, nodes[0]) if len(nodes) == 1 else None
    return Holding(
        nodes=nodes,
        unseen=tuple(peer.node for peer in report.peers if not peer.linked),
        since=since,
        failover=failover,
        why=why(report.events, failover) if failover else "",
    )


def _became_master(events: Iterable[Event], node: str) -> float | None:
    """Return when a node got the role that it has, if the last that is known of it is MASTER."""
    roles = (event for event in events if event.kind is EventKind.ROLE and event.node == node)
    last = next(roles, None)
    return last.time if last is not None and last.subject == Role.MASTER else None


def why(events: Iterable[Event], failover: Event) -> str:
    """Return what the node that lost the VIP said of it at about that time, or what was seen."""
    said = (
        event.text
        for event in events
        if event.kind is EventKind.ROLE
        and event.subject != Role.MASTER  # how it became one is another story
        and event.node == failover.previous
        and abs(event.time - failover.time) < SAME_TIME
        and event.text
    )
    return next(said, failover.text.replace(failover.previous, "it"))


def _begun(trouble: Trouble, node: str) -> Event:
    problem = trouble.problem
    error = problem.severity is Severity.ERROR
    return Event(
        time=trouble.began,
        node=node,
        kind=EventKind.ERROR if error else EventKind.WARNING,
        subject=problem.code,
        text=problem.message[:_DETAIL],
    )


def _solved(trouble: Trouble, clock: float, node: str) -> Event:
    return Event(
        time=clock,
        node=node,
        kind=EventKind.SOLVED,
        subject=trouble.problem.code,
        text=trouble.problem.message[:_DETAIL],
    )
