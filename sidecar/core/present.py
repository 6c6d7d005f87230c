"""The report for its readers: JSON for programs, text for people."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sidecar.core.change import name
from sidecar.core.plain import from_plain, to_plain
from sidecar.core.report import (
    CheckReport,
    NodeState,
    PeerReport,
    Problem,
    ProcessReport,
    Report,
    Role,
    ServiceState,
    Severity,
    VipReport,
)
from sidecar.core.sync import PeerSync, SyncReport
from sidecar.core.table import Cell, Colour, Row, table

NOTHING: Final = Cell("-")
UNKNOWN: Final = Cell("?", Colour.WARN)

_ROLE_COLOURS: Final = {
    Role.MASTER: Colour.GOOD,
    Role.BACKUP: Colour.PLAIN,
    Role.INIT: Colour.WARN,
    Role.FAULT: Colour.BAD,
}
_SERVICE_COLOURS: Final = {
    ServiceState.RUNNING: Colour.GOOD,
    ServiceState.BACKOFF: Colour.BAD,
    ServiceState.GAVE_UP: Colour.BAD,
}


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as `/api/v1/status` and `ha status --json` print it."""
    plain: dict[str, Any] = to_plain(report)
    return plain


def from_json(data: object) -> Report:
    """Return the report that `to_json` made; raise ValueError if `data` is something else."""
    return from_plain(Report, data)


def status_text(report: Report, *, color: bool) -> str:
    """Return the text of `ha status`, with terminal colours if `color`."""
    now = report.node.clock
    processes = (_process(process, now) for process in report.processes)
    blocks = (
        f"kiss-ha {report.node.version} on {report.node.node}{_up(now - report.started)}",
        table("NODE ROLE VIPS ELIGIBLE LINK", _nodes(report), color=color),
        f"Election: {report.why}" if report.why else "",
        table("VIP HERE LEASED", map(_vip, report.vips), color=color),
        table("CHECK RESULT KIND DETAIL", _checks(report), color=color),
        table("PROCESS STATE PID RESTARTS UPTIME DETAIL", processes, color=color),
        _sync(report.sync, now, color=color) if report.sync is not None else "",
        _problems(report.problems, color=color),
    )
    return "\n\n".join(block for block in blocks if block)


def ineligible_because(report: Report) -> str:
    """Return in words why this node could not serve; empty if it could."""
    if report.node.eligible:
        return ""
    says = {check.name: check.message for check in report.checks if not check.up}
    causes = [f"{name}: {says[name]}" if says.get(name) else name for name in report.node.hard]
    errors = [problem.message for problem in report.problems if problem.severity is Severity.ERROR]
    return "; ".join(causes or errors) or report.why or "no health check has answered yet"


def summary(node: NodeState) -> str:
    """Return the node's standing in one line."""
    held = f", holds {', '.join(node.vips)}" if node.vips else ""
    return f"{node.node} is {node.role}{held}{', draining' if node.draining else ''}"


def short(snapshot: str) -> str:
    """Return a snapshot's id as people read and type it."""
    return snapshot[:12]


def span(seconds: float) -> str:
    """Return a duration in at most two units, such as `3 h 12 min`."""
    if seconds < 60:
        return f"{max(0.0, seconds):.{1 if seconds < 10 else 0}f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} d {minutes // 60 % 24} h"


def _up(seconds: float) -> str:
    return f", up {span(seconds)}" if seconds >= 0 else ""


def _nodes(report: Report) -> Iterator[Row]:
    yield (*_node(report.node), Cell("this node"))
    for peer in report.peers:
        if peer.linked and peer.state is not None:
            yield (*_node(peer.state), Cell(f"up, {span(peer.age or 0)} ago", Colour.GOOD))
        else:  # what a silent node said last is history, not its role
            yield (Cell(peer.node), UNKNOWN, UNKNOWN, UNKNOWN, Cell(_silence(peer), Colour.BAD))


def _node(node: NodeState) -> Row:
    return (
        Cell(node.node),
        Cell(node.role, _ROLE_COLOURS[node.role]),
        Cell(", ".join(node.vips)) if node.vips else NOTHING,
        _eligibility(node),
    )


def _eligibility(node: NodeState) -> Cell:
    standing = "draining" if node.draining else "yes"
    if not node.eligible:
        return Cell(f"no: {', '.join(node.hard)}" if node.hard else "no", Colour.BAD)
    if node.soft:
        return Cell(f"{standing}, failing: {', '.join(node.soft)}", Colour.WARN)
    return Cell(standing, Colour.WARN if node.draining else Colour.GOOD)


def _silence(peer: PeerReport) -> str:
    seen = "never seen"
    if peer.state is not None:
        age = f" {span(peer.age)} ago" if peer.age is not None else ""
        seen = f"last seen{age} as {peer.state.role}"
    return f"down, {seen}{f': {peer.error}' if peer.error else ''}"


def _vip(vip: VipReport) -> Row:
    if not vip.held:
        return (Cell(vip.address), Cell("no"), NOTHING)
    leased = Cell("yes", Colour.GOOD) if vip.leased else Cell("no", Colour.BAD)
    return (Cell(vip.address), Cell("yes", Colour.GOOD), leased)


def _checks(report: Report) -> Iterator[Row]:
    """Give a row for each check; what is among the problems is not said twice."""
    error = report.nginx.config_error
    for check in report.checks:
        known = bool(error) and check.message == error
        yield _check(replace(check, message="see nginx-config") if known else check)


def _check(check: CheckReport) -> Row:
    result = UNKNOWN
    if check.up is not None:
        result = Cell("up", Colour.GOOD) if check.up else Cell("down", Colour.BAD)
    kind = Cell("hard" if check.hard else "soft")
    return (Cell(check.name), result, kind, Cell(check.message))


def _process(process: ProcessReport, now: float) -> Row:
    up = process.since and process.state is ServiceState.RUNNING
    return (
        Cell(process.name),
        Cell(process.state, _SERVICE_COLOURS.get(process.state, Colour.WARN)),
        Cell(str(process.pid)) if process.pid is not None else NOTHING,
        Cell(str(process.restarts)),
        Cell(span(now - process.since)) if up else NOTHING,
        Cell(process.error),
    )


def _sync(sync: SyncReport, now: float, *, color: bool) -> str:
    """Return where the folders stand; why so is among the problems."""
    lines = [_sync_head(sync, now)]
    if sync.draft:
        lines.append(Cell(f"Draft: {_some([name(path, sync.paths) for path in sync.draft])}"))
    if sync.holds:
        reasons = dict.fromkeys(hold.reason for hold in sync.holds)
        lines.append(Cell(f"Held: {', '.join(reasons)}", Colour.WARN))
    if sync.rejected:
        rejected = ", ".join(short(snapshot) for snapshot in sync.rejected)
        lines.append(Cell(f"Rejected: {rejected}", Colour.BAD))
    peers = (_peer_sync(peer, now) for peer in sync.peers)
    return "\n".join(
        [
            *(line.painted(color=color) for line in lines),
            *filter(None, [table("PEER SYNCED LAST DETAIL", peers, color=color)]),
        ]
    )


def _sync_head(sync: SyncReport, now: float) -> Cell:
    head = f"snapshot {short(sync.head)}" if sync.head else "no snapshot yet"
    check = f", next check in {span(sync.next_check - now)}" if sync.next_check else ""
    took = f" (the last took {span(sync.last_duration)})" if sync.last_duration else ""
    return Cell(f"Sync: {head} of {', '.join(sync.paths)}{check}{took}")


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - 3} more" if items[3:] else ""
    return f"{', '.join(items[:3])}{more}"


def _peer_sync(peer: PeerSync, now: float) -> Row:
    synced = UNKNOWN
    if peer.in_sync is not None:
        synced = Cell("yes", Colour.GOOD) if peer.in_sync else Cell("no", Colour.WARN)
    last = f"{span(now - peer.last_success)} ago" if peer.last_success else "never"
    return (Cell(peer.node), synced, Cell(last), Cell(peer.error))


def _problems(problems: Sequence[Problem], *, color: bool) -> str:
    if not problems:
        return Cell("No problems.", Colour.GOOD).painted(color=color)
    lines = [Cell("PROBLEMS", Colour.HEAD).painted(color=color)]
    for problem in problems:
        bad = problem.severity is Severity.ERROR
        label = Cell(problem.severity, Colour.BAD if bad else Colour.WARN).painted(color=color)
        first, *rest = [Cell(line).painted(color=color) for line in _words(problem)]
        lines.append(f"{label} {problem.code}: {first}")
        lines += [f"  {line}" for line in rest]
    return "\n".join(lines)


def _words(problem: Problem) -> list[str]:
    return [*(problem.message.splitlines() or [""]), *problem.hint.splitlines()]
