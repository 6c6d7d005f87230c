"""The nodes on the status page: what each says of itself, and what is not known of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.core.report import (
    CheckReport,
    NodeState,
    PeerReport,
    ProcessReport,
    Report,
    Role,
    ServiceState,
)
from sidecar.core.show.present import short, span
from sidecar.core.show.problems import MOST_SKEW
from sidecar.core.show.tones import UNKNOWN, Badge, Clock, Tone
from sidecar.core.sync_report import Progress, SyncReport
from sidecar.core.words import counted

# Until somebody changes a file there is no snapshot.
NO_SNAPSHOT: Final = Badge("none yet")
NO_SYNC: Final = Badge("nothing to sync yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A check or a process."""

    name: str
    badge: Badge
    detail: str = ""
    restarts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCard:
    """A node as far as this one knows."""

    node: str
    own: bool
    role: Badge
    facts: Sequence[tuple[str, Badge]]
    checks: Sequence[Line] | None
    """None: it did not tell."""
    processes: Sequence[Line] | None


def node_cards(report: Report, clock: Clock, *, split: bool) -> Iterator[NodeCard]:
    """Give the nodes, this one first; `split`: several of them are MASTER."""
    yield NodeCard(
        node=report.node.node,
        own=True,
        role=role_badge(report.node.role, split=split),
        facts=tuple(_own_facts(report, clock)),
        checks=tuple(map(_check, report.checks)),
        processes=tuple(_process(process, clock) for process in report.processes),
    )
    for peer in report.peers:
        yield _peer(peer, report, clock, split=split)


def _peer(peer: PeerReport, report: Report, clock: Clock, *, split: bool) -> NodeCard:
    state, details = peer.state, peer.details
    if not peer.linked or state is None:
        return NodeCard(
            node=peer.node,
            own=False,
            role=UNKNOWN,
            facts=tuple(_lost_facts(peer)),
            checks=None,
            processes=None,
        )
    return NodeCard(
        node=peer.node,
        own=False,
        role=role_badge(state.role, split=split),
        facts=tuple(_peer_facts(peer, state, report, clock)),
        checks=tuple(map(_check, details.checks)) if details else None,
        processes=tuple(_process(one, clock) for one in details.processes) if details else None,
    )


def role_badge(role: Role, *, split: bool = False) -> Badge:
    """Return a role in its tone; in a split brain no MASTER is a good one."""
    if split and role is Role.MASTER:
        return Badge(role, Tone.BAD)
    tones = {Role.MASTER: Tone.GOOD, Role.BACKUP: Tone.PLAIN, Role.FAULT: Tone.BAD}
    return Badge(role, tones.get(role, Tone.WARN))


def _eligible(node: NodeState) -> Badge:
    if node.role is Role.INIT and not node.hard:
        return Badge("not yet", Tone.WARN)
    if not node.eligible:
        return Badge(f"no: {', '.join(node.hard)}" if node.hard else "no", Tone.BAD)
    if node.draining:
        return Badge("drained: only as a last resort", Tone.WARN)
    if node.soft:
        return Badge(f"yes, but failing: {', '.join(node.soft)}", Tone.WARN)
    return Badge("yes", Tone.GOOD)


def _own_facts(report: Report, clock: Clock) -> Iterator[tuple[str, Badge]]:
    yield "Eligible", _eligible(report.node)
    yield "VIPs", Badge(", ".join(report.node.vips) or "none")
    if (sync := report.sync) is not None:
        yield "Snapshot", Badge(short(sync.head)) if sync.head else NO_SNAPSHOT
        yield "Sync", _own_sync(sync)
        last = max((peer.last_success for peer in sync.peers), default=0.0)
        yield "Last sync", _last_sync(last, clock)
    yield "Version", Badge(report.node.version)
    yield "Uptime", Badge(span(clock.now - report.started))


def _own_sync(sync: SyncReport) -> Badge:
    if sync.holds:
        reasons = dict.fromkeys(hold.reason for hold in sync.holds)
        return Badge(f"held: {', '.join(reasons)}", Tone.WARN)
    if sync.draft_error:
        return Badge("local change not accepted", Tone.WARN)
    if sync.rejected:
        return Badge("a peer's snapshot was rejected", Tone.BAD)
    for peer in sync.peers:
        if peer.fetching is not None:
            return Badge(f"fetching {peer.fetching} from {peer.node}", Tone.WARN)
    if any(peer.in_sync is False for peer in sync.peers):
        return Badge("not in sync", Tone.WARN)
    if sync.head is None:
        return NO_SYNC
    if not any(peer.in_sync for peer in sync.peers):
        return UNKNOWN
    return Badge("in sync", Tone.GOOD)


def _peer_sync(head: str | None, own: str | None, fetching: Progress | None) -> Badge:
    if fetching is not None:
        return Badge(f"fetching {fetching}", Tone.WARN)
    if head is None and own is None:
        return NO_SYNC
    return Badge("in sync", Tone.GOOD) if head == own else Badge("not in sync", Tone.WARN)


def _last_sync(time: float, clock: Clock) -> Badge:
    return Badge(clock.when(time).ago) if time else Badge("never", Tone.WARN)


def _peer_facts(
    peer: PeerReport, state: NodeState, report: Report, clock: Clock
) -> Iterator[tuple[str, Badge]]:
    yield "Eligible", _eligible(state)
    yield "VIPs", Badge(", ".join(state.vips) or "none")
    yield "Snapshot", Badge(short(state.head)) if state.head else NO_SNAPSHOT
    own_head = report.sync.head if report.sync is not None else None
    fetching = peer.details.fetching if peer.details is not None else None
    yield "Sync", _peer_sync(state.head, own_head, fetching)
    yield "Last sync", _last_sync(peer.details.synced, clock) if peer.details else UNKNOWN
    known = state.version == report.node.version
    yield "Version", Badge(state.version, Tone.PLAIN if known else Tone.WARN)
    its_now = clock.now + (peer.clock_skew or 0.0)
    yield "Uptime", Badge(span(its_now - peer.details.started)) if peer.details else UNKNOWN
    yield "Clock skew", _skew(peer.clock_skew)


def _skew(skew: float | None) -> Badge:
    if skew is None:
        return UNKNOWN
    if abs(skew) < 0.1:
        return Badge("under 0.1 s")
    return Badge(f"{skew:+.1f} s", Tone.WARN if abs(skew) > MOST_SKEW else Tone.PLAIN)


def _lost_facts(peer: PeerReport) -> Iterator[tuple[str, Badge]]:
    yield "Link", Badge(f"down: {peer.error or 'not yet connected'}", Tone.BAD)
    if peer.state is None:
        yield "Last seen", Badge("not since this node started", Tone.UNKNOWN)
        return
    age = f"{span(peer.age)} ago" if peer.age is not None else "some time ago"
    yield "Last seen", Badge(f"{age}, as {peer.state.role}", Tone.UNKNOWN)
    yield "Version", Badge(f"{peer.state.version} when last seen", Tone.UNKNOWN)
    yield "Eligible", UNKNOWN
    yield "VIPs", UNKNOWN
    yield "Sync", UNKNOWN


def _check(check: CheckReport) -> Line:
    if check.up is None:
        return Line(name=check.name, badge=Badge("no answer yet", Tone.UNKNOWN))
    tone = Tone.GOOD if check.up else Tone.BAD if check.hard else Tone.WARN
    return Line(
        name=check.name,
        badge=Badge("up" if check.up else "down", tone),
        detail="" if check.up else check.message,
    )


def _process(process: ProcessReport, clock: Clock) -> Line:
    tones = {
        ServiceState.RUNNING: Tone.GOOD,
        ServiceState.BACKOFF: Tone.BAD,
        ServiceState.GAVE_UP: Tone.BAD,
    }
    running = process.state is ServiceState.RUNNING and process.since
    restarts = counted(process.restarts, "restart")
    return Line(
        name=process.name,
        badge=Badge(process.state, tones.get(process.state, Tone.WARN)),
        detail=f"for {span(clock.now - process.since)}" if running else process.error,
        restarts=restarts if process.restarts else "",
    )
