"""The report for its readers: JSON for programs, text for people."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec import convert, to_builtins

from sidecar.core.history.change import name
from sidecar.core.report import (
    CheckReport,
    ContainersReport,
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
from sidecar.core.show.story import holding
from sidecar.core.show.table import Cell, Colour, Row, fold, table
from sidecar.core.sync_report import PeerSync, SyncReport

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
    plain: dict[str, Any] = to_builtins(report)
    return plain


def from_json(data: object) -> Report:
    """Return the report that `to_json` made; raise ValueError if `data` is something else."""
    return convert(data, Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a text is laid out: with colours, and folded to so many columns if it is a terminal."""

    color: bool = False
    width: int | None = None

    def table(self, head: str, rows: Iterable[Row]) -> str:
        """Return a table in this style."""
        return table(head, rows, color=self.color, width=self.width)

    def lines(self, cell: Cell, indent: str = "") -> list[str]:
        """Return a text, folded, with what is folded indented."""
        folded = fold(cell.text, self.width, indent)
        return [Cell(line, cell.colour).painted(color=self.color) for line in folded]


PLAIN: Final = Style()


def status_text(report: Report, style: Style = PLAIN) -> str:
    """Return the text of `ha status`."""
    now = report.node.clock
    processes = (_process(process, now) for process in report.processes)
    blocks = (
        f"kiss-ha {report.node.version} on {report.node.node}{_up(now - report.started)}",
        "\n".join(line for text in _answers(report) for line in style.lines(text, "  ")),
        style.table("NODE ROLE VIPS ELIGIBLE LINK", _nodes(report)),
        "\n".join(style.lines(Cell(f"Election: {report.why}"))) if report.why else "",
        style.table("VIP HERE LEASED", map(_vip, report.vips)),
        style.table("CHECK RESULT KIND DETAIL", _checks(report)),
        style.table("PROCESS STATE PID RESTARTS UPTIME DETAIL", processes),
        _sync(report.sync, now, style) if report.sync is not None else "",
        _sites(report.containers, style) if report.containers is not None else "",
        _problems(report.problems, style),
    )
    return "\n\n".join(block for block in blocks if block)


def _sites(containers: ContainersReport, style: Style) -> str:
    sites = [site for site in containers.sites if site.replicas]
    down = sum(site.up is False for site in sites)
    words = f"Container sites: {len(sites)}{f', {down} down' if down else ''}"
    colour = Colour.WARN if down else Colour.PLAIN
    return "\n".join(style.lines(Cell(f"{words} (ha sites)", colour)))


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


def _answers(report: Report) -> Iterator[Cell]:
    """Give what people ask first: who holds the VIP, since when, and the last failover."""
    held, now = holding(report), report.node.clock
    match held.nodes:
        case [node]:
            since = f", for {span(now - held.since)}" if held.since is not None else ""
            yield Cell(f"{node} holds the VIP{since}.")
        case []:
            unseen = f"; unknown: {', '.join(held.unseen)}" if held.unseen else ""
            yield Cell(f"No node that answers holds the VIP{unseen}.", Colour.WARN)
        case several:
            yield Cell(f"Split brain: {' and '.join(several)} hold the VIP.", Colour.BAD)
    if (failover := held.failover) is not None:
        gap = f", {failover.gap:.2f} s without a MASTER" if failover.gap is not None else ""
        yield Cell(
            f"Last failover: {span(now - failover.time)} ago, from {failover.previous} "
            f"to {failover.node}: {held.why}{gap}."
        )


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


def _sync(sync: SyncReport, now: float, style: Style) -> str:
    """Return where the folders stand; why so is among the problems."""
    lines = [_sync_head(sync, now)]
    if sync.draft:
        some = [name(path, sync.paths) for path in sync.draft[:3]]
        more = sync.draft_count - len(some)
        lines.append(Cell(f"Draft: {', '.join(some)}{f' and {more} more' if more else ''}"))
    if sync.holds:
        reasons = dict.fromkeys(hold.reason for hold in sync.holds)
        lines.append(Cell(f"Held: {', '.join(reasons)}", Colour.WARN))
    if sync.overridden:
        number = f"{sync.overridden_count} conflict{'s' if sync.overridden[1:] else ''}"
        lines.append(Cell(f"{number}: ha conflicts", Colour.WARN))
    if sync.rejected:
        rejected = ", ".join(short(snapshot) for snapshot in sync.rejected)
        lines.append(Cell(f"Rejected: {rejected}", Colour.BAD))
    peers = (_peer_sync(peer, now) for peer in sync.peers)
    return "\n".join(
        [
            *(part for line in lines for part in style.lines(line, "  ")),
            *filter(None, [style.table("PEER SYNCED LAST DETAIL", peers)]),
        ]
    )


def _sync_head(sync: SyncReport, now: float) -> Cell:
    head = f"snapshot {short(sync.head)}" if sync.head else "no snapshot yet"
    check = f", next check in {span(sync.next_check - now)}" if sync.next_check else ""
    took = f" (the last took {span(sync.last_duration)})" if sync.last_duration else ""
    return Cell(f"Sync: {head} of {', '.join(sync.paths)}{check}{took}")


def _peer_sync(peer: PeerSync, now: float) -> Row:
    synced = UNKNOWN
    if peer.in_sync is not None:
        synced = Cell("yes", Colour.GOOD) if peer.in_sync else Cell("no", Colour.WARN)
    last = f"{span(now - peer.last_success)} ago" if peer.last_success else "never"
    detail = f"fetching {peer.fetching}" if peer.fetching is not None else peer.error
    return (Cell(peer.node), synced, Cell(last), Cell(detail))


def _problems(problems: Sequence[Problem], style: Style) -> str:
    if not problems:
        return Cell("No problems.", Colour.GOOD).painted(color=style.color)
    lines = [Cell("PROBLEMS", Colour.HEAD).painted(color=style.color)]
    for problem in problems:
        bad = problem.severity is Severity.ERROR
        label = Cell(problem.severity, Colour.BAD if bad else Colour.WARN)
        first, *rest = _words(problem)
        plain = f"{label.text} {problem.code}: {first}"
        head, *more = style.lines(Cell(plain), "  ")
        lines += [head.replace(label.text, label.painted(color=style.color), 1), *more]
        lines += [part for line in rest for part in style.lines(Cell(f"  {line}"), "  ")]
    return "\n".join(lines)


def _words(problem: Problem) -> list[str]:
    return [*(problem.message.splitlines() or [""]), *problem.hint.splitlines()]
