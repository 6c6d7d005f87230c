"""What the status page shows, as texts and tones: its template only prints.

What is not known is said to be so, in the tone UNKNOWN: it never looks like a value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from sidecar.core.history.change import name
from sidecar.core.report import Problem, Report, Role, Severity, Validity
from sidecar.core.show.cards import NodeCard, node_cards, role_badge
from sidecar.core.show.present import short, span
from sidecar.core.show.problems import ENDING
from sidecar.core.show.sites import served_by, site_name
from sidecar.core.show.story import Holding, holding
from sidecar.core.show.tones import Badge, Clock, Tone, When
from sidecar.core.sync_report import SyncReport
from sidecar.core.timeline import Event, EventKind
from sidecar.core.words import counted

_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """The last time that the VIP changed its node."""

    when: When
    text: str
    why: str
    gap: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An open problem, with its way out."""

    node: str
    badge: Badge
    code: str
    message: Sequence[str]
    hint: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event."""

    when: When
    node: str
    badge: Badge
    text: str
    gap: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRow:
    """A snapshot of the folders."""

    id: str
    when: When
    node: str
    summary: str
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """A certificate that nginx may serve."""

    path: str
    left: Badge
    ends: When


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """A site of containers."""

    name: str
    up: Badge
    served_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the page says."""

    node: str
    version: str
    now: When
    zone: str
    """Of all times on the page."""
    tone: Tone
    headline: str
    verdict: Badge
    """What that means, in a sentence."""
    vips: Sequence[str]
    since: When | None
    failover: Failover | None
    problems: Sequence[Trouble]
    nodes: Sequence[NodeCard]
    events: Sequence[Happening]
    snapshots: Sequence[SnapshotRow]
    certificates: Sequence[CertificateRow]
    sites: Sequence[SiteRow]


_SITE_UP: Final = {
    True: Badge("up", Tone.GOOD),
    False: Badge("down", Tone.BAD),
    None: Badge("unknown", Tone.UNKNOWN),
}


def page_of(report: Report, zone: tzinfo) -> Page:
    """Return what the page of a node shows, with times in `zone`."""
    clock = Clock(report.node.clock, zone)
    held = holding(report)
    problems = tuple(_problems(report))
    tone, headline = _headline(held)
    if tone is Tone.GOOD and problems:
        bad = any(problem.badge.tone is Tone.BAD for problem in problems)
        tone = Tone.BAD if bad else Tone.WARN
    return Page(
        node=report.node.node,
        version=report.node.version,
        now=clock.when(report.node.clock),
        zone=clock.zone,
        tone=tone,
        headline=headline,
        verdict=_verdict(report, held),
        vips=tuple(vip.address for vip in report.vips),
        since=clock.when(held.since) if held.since is not None else None,
        failover=_failover(held, clock),
        problems=problems,
        nodes=tuple(node_cards(report, clock, split=len(held.nodes) > 1)),
        events=tuple(_happening(event, clock) for event in report.events),
        snapshots=tuple(_snapshots(report.sync, clock)),
        certificates=tuple(_certificates(report, clock)),
        sites=tuple(_sites(report)),
    )


def _headline(held: Holding) -> tuple[Tone, str]:
    match held.nodes:
        case [node]:
            return Tone.GOOD, f"{node} holds the VIP"
        case []:
            if held.unseen:
                return Tone.UNKNOWN, "The VIP holder is unknown"
            return Tone.BAD, "No node holds the VIP"
        case several:
            return Tone.BAD, f"Split brain: {' and '.join(several)} hold the VIP"


def _verdict(report: Report, held: Holding) -> Badge:
    """Return what follows for those who use the VIP."""
    ready = [
        node.node
        for node in (report.node, *report.linked())
        if node.eligible and not node.draining and node.node not in held.nodes
    ]
    unseen = _and(held.unseen, "does not answer", "do not answer")
    if len(held.nodes) > 1:
        text = "Clients reach one or the other until the less preferred node steps down."
        return Badge(text, Tone.BAD)
    if not held.nodes:
        if unseen:
            return Badge(f"None of the nodes that answer holds it; {unseen}.", Tone.UNKNOWN)
        return Badge("No node serves.", Tone.BAD)
    if ready:
        text = _and(ready, "is ready to take over", "are ready to take over")
        return Badge(f"{text}.", Tone.GOOD)
    cause = unseen or "no other node is eligible"
    return Badge(f"No node is ready to take over: {cause}.", Tone.WARN)


def _and(nodes: Sequence[str], one: str, several: str) -> str:
    return f"{' and '.join(nodes)} {one if len(nodes) == 1 else several}" if nodes else ""


def _failover(held: Holding, clock: Clock) -> Failover | None:
    if (event := held.failover) is None:
        return None
    return Failover(
        when=clock.when(event.time),
        text=f"{event.node} took over from {event.previous}",
        why=held.why,
        gap=_gap(event),
    )


def _gap(event: Event) -> str:
    return f"{event.gap:.2f} s without a MASTER" if event.gap is not None else ""


def _problems(report: Report) -> Iterator[Trouble]:
    """Give the problems of all nodes that answer, errors first."""
    found = [(report.node.node, problem) for problem in report.problems]
    for peer in report.peers:
        if peer.linked and peer.details is not None:
            found += [(peer.node, problem) for problem in peer.details.problems]
    for node, problem in sorted(found, key=lambda pair: pair[1].severity is not Severity.ERROR):
        yield _trouble(node, problem)


def _trouble(node: str, problem: Problem) -> Trouble:
    return Trouble(
        node=node,
        badge=Badge(
            problem.severity, Tone.BAD if problem.severity is Severity.ERROR else Tone.WARN
        ),
        code=problem.code,
        message=problem.message.splitlines(),
        hint=problem.hint.splitlines(),
    )


_EVENTS: Final = {
    EventKind.START: Badge("start"),
    EventKind.SNAPSHOT: Badge("snapshot"),
    EventKind.ERROR: Badge("error", Tone.BAD),
    EventKind.WARNING: Badge("warning", Tone.WARN),
    EventKind.SOLVED: Badge("resolved", Tone.GOOD),
}


def _happening(event: Event, clock: Clock) -> Happening:
    badge = _EVENTS.get(event.kind) or _role_badge(event.subject)
    match event.kind:
        case EventKind.START:
            text = f"kiss-ha {event.subject} started"
        case EventKind.SNAPSHOT:
            text = f"{short(event.subject)}: {event.text}"
        case EventKind.ROLE if event.subject == Role.BACKUP:
            text = event.text or "standing by"
        case _:
            text = event.text
    return Happening(
        when=clock.when(event.time),
        node=event.node or "all nodes",
        badge=badge,
        text=text,
        gap=_gap(event),
    )


def _role_badge(role: str) -> Badge:
    return role_badge(Role(role)) if role in list(Role) else Badge(role, Tone.UNKNOWN)


def _snapshots(sync: SyncReport | None, clock: Clock) -> Iterator[SnapshotRow]:
    for one in sync.snapshots if sync is not None else ():
        yield SnapshotRow(
            id=short(one.id),
            when=clock.when(one.time),
            node=one.node or "all nodes",
            summary=one.summary,
            live=sync is not None and one.id == sync.head,
        )


def _certificates(report: Report, clock: Clock) -> Iterator[CertificateRow]:
    """Give the certificates, the one that ends first at the top."""
    roots = report.sync.paths if report.sync is not None else ()
    for path, valid in sorted(report.nginx.certificates.items(), key=lambda one: one[1].not_after):
        yield CertificateRow(
            path=name(path, roots), left=_left(valid, clock.now), ends=clock.when(valid.not_after)
        )


def _sites(report: Report) -> Iterator[SiteRow]:
    """Give the sites of containers, those that are down at the top."""
    sites = report.containers.sites if report.containers is not None else ()
    for one in sorted(sites, key=lambda site: (site.up is True, site.up is None)):
        yield SiteRow(name=site_name(one), up=_SITE_UP[one.up], served_by=served_by(one))


def _left(valid: Validity, now: float) -> Badge:
    """Return what is left of a certificate, in tones like the alerts: lifetimes differ by far."""
    left = valid.not_after - now
    if left <= 0:
        return Badge("expired", Tone.BAD)
    days = int(left / _DAY)
    text = f"{counted(days, 'day')} left" if days else f"{span(left)} left"
    return Badge(text, Tone.WARN if valid.share_left(now) < ENDING else Tone.PLAIN)
