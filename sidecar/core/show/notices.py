"""Notifications: who took the VIP over, and problems that last.

Every node follows the same facts; the one that speaks says what is new, in one message for the
whole cluster. The MASTER speaks. What another one has said is known as said, so that a successor
neither repeats nor forgets anything.

    a problem ─► lasts 10 s ─► told ─► gone for 10 s ─► "resolved"
    this node becomes MASTER ─► 4 s, in which the cause becomes known ─► told
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from sidecar.core.report import Problem, Report, Role, Severity
from sidecar.core.show.present import span
from sidecar.core.show.story import why
from sidecar.core.timeline import Event, EventKind

LASTING: Final = 10.0
"""Seconds that a problem must last to be told, and be gone to be over."""

SETTLED: Final = 4.0
"""Seconds after a change of role in which its cause becomes known."""

GATHERED: Final = 2.0
"""Seconds that a line waits for others to share its message."""

MOST: Final = 5
WITHIN: Final = 300.0
"""At most `MOST` messages in `WITHIN` seconds; the rest wait, and are sent together."""

LINES: Final = 20
"""Lines of one message."""

_MUTUAL: Final = frozenset(
    {
        "clock-skew",
        "peer-unlinked",
        "settings-differ",
        "split-brain",
        "versions-differ",
        "wrong-secret",
    }
)
"""Problems between two nodes, which both see: told once."""


class Kind(StrEnum):
    """How a message looks: the types of Apprise, best first."""

    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent."""

    title: str
    body: str
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """A problem of a node; times are monotonic."""

    text: str
    severe: bool
    since: float
    told: bool = False
    gone: float | None = None
    """Since when it is no longer there."""


_Key = tuple[str, str]
"""A node and the code of its problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """What is known, and what is to be said; times are monotonic seconds."""

    seen: float | None = None
    """Unix time until which changes of role are told; None before the first look."""
    settling: bool = False
    """A change of role is about to be told."""
    troubles: Mapping[_Key, _Trouble] = field(default_factory=dict[_Key, _Trouble])
    lines: tuple[Message, ...] = ()
    """What is to be said."""
    begun: float = 0.0
    """When the first of them came."""
    sent: tuple[float, ...] = ()
    """When messages were sent within `WITHIN`."""

    def after(self, now: float, report: Report) -> "Notices":
        """Return what is known once a report was seen."""
        seen = report.node.clock if self.seen is None else self.seen
        moves = [event for event in report.events if _is_ours(event, report) and event.time > seen]
        settled = [move for move in moves if report.node.clock - move.time >= SETTLED]
        followed = _Followed(self.troubles, now, report)
        new = (*(_moved(move, report) for move in reversed(settled)), *followed.lines)
        return replace(
            self,
            seen=max([seen, *(move.time for move in settled)]),
            settling=len(moves) > len(settled),
            troubles=followed.troubles,
            lines=(*self.lines, *new),
            begun=now if new and not self.lines else self.begun,
        )

    def take(self, now: float) -> tuple["Notices", Message | None]:
        """Return the message to send now, if there is one, and what is known once it is sent."""
        sent = tuple(time for time in self.sent if now - time < WITHIN)
        early = self.settling or now - self.begun < GATHERED
        if not self.lines or early or len(sent) >= MOST:
            return self, None
        return replace(self, lines=(), sent=(*sent, now)), joined(self.lines)


def joined(lines: Sequence[Message]) -> Message:
    """Return one message of several; its title is that of the worst."""
    worst = max(lines, key=lambda line: [*Kind].index(line.kind))
    more = f" (and {len(lines) - 1} more)" if lines[1:] else ""
    bodies = [line.body for line in lines[:LINES]]
    if lines[LINES:]:
        bodies.append(f"… and {len(lines) - LINES} more: see `ha status`.")
    return Message(title=f"{worst.title}{more}", body="\n\n".join(bodies), kind=worst.kind)


def speaks(report: Report) -> bool:
    """Tell whether this node speaks for the cluster.

    Without a MASTER the first of those that cannot be one does; a BACKUP always has one, even where
    the link does not show it.
    """
    own, linked = report.node, report.linked()
    masters = [state.node for state in (own, *linked) if state.role is Role.MASTER]
    if masters:
        return own.node == min(masters)
    mute = own.role is Role.BACKUP
    return not mute and own.node == min(state.node for state in (own, *linked))


def _is_ours(event: Event, report: Report) -> bool:
    """Tell whether this node became MASTER: then it is the one to say so."""
    became_master = event.kind is EventKind.ROLE and event.subject == Role.MASTER
    return became_master and event.node == report.node.node


def _moved(event: Event, report: Report) -> Message:
    vips = ", ".join(vip.address for vip in report.vips)
    title = f"{event.node} is MASTER"
    if not event.previous:
        body = f"{event.node} took {vips or 'the VIP'}: {event.text}."
        return Message(title=title, body=body, kind=Kind.INFO)
    gap = "" if event.gap is None else f" There was no MASTER for at most {span(event.gap)}."
    return Message(
        title=title,
        body=f"{event.node} took over {vips or 'the VIP'} from {event.previous}.{gap} "
        f"Cause: {why(report.events, event)}.",
        kind=Kind.WARNING,
    )


class _Followed:
    """What becomes of the problems that are known, once a report was seen."""

    def __init__(self, known: Mapping[_Key, _Trouble], now: float, report: Report) -> None:
        self.lines: list[Message] = []
        self.troubles: dict[_Key, _Trouble] = {}
        self._speaks = speaks(report)
        # Who neither speaks nor sees a speaker has not had it said.
        self._said = self._speaks or report.node.role is not Role.BACKUP or _has_master(report)
        present = dict(_present(now, report))
        heard = {report.node.node, *(state.node for state in report.linked())}
        for key in dict.fromkeys((*known, *present)):
            before, here = known.get(key), present.get(key)
            if here is not None:
                if before is not None:
                    here = replace(here, since=before.since, told=before.told)
                self.troubles[key] = self._told(key, here, now)
            elif before is not None and before.told:
                self._ending(key, before, now, unknown=key[0] not in heard)

    def _told(self, key: _Key, trouble: _Trouble, now: float) -> _Trouble:
        if trouble.told or not self._said or now - trouble.since < LASTING:
            return trouble
        if self._speaks:
            node, code = key
            kind = Kind.FAILURE if trouble.severe else Kind.WARNING
            body = f"Problem on {node}: {trouble.text}"
            self.lines.append(Message(title=f"{code} on {node}", body=body, kind=kind))
        return replace(trouble, told=True)

    def _ending(self, key: _Key, trouble: _Trouble, now: float, *, unknown: bool) -> None:
        """Follow a problem that is no longer there, or of which nothing is known."""
        gone = None if unknown else now if trouble.gone is None else trouble.gone
        if gone is None or now - gone < LASTING:
            self.troubles[key] = replace(trouble, gone=gone)
        elif self._speaks:
            node, code = key
            lasted = span(gone - trouble.since)
            body = f"Resolved on {node} after {lasted}: {trouble.text}"
            line = Message(title=f"{code} on {node} is resolved", body=body, kind=Kind.SUCCESS)
            self.lines.append(line)


def _has_master(report: Report) -> bool:
    return any(state.role is Role.MASTER for state in report.linked())


def _present(now: float, report: Report) -> Iterator[tuple[_Key, _Trouble]]:
    """Give the problems of all nodes that are heard; those of one code on one node are one."""
    own = {problem.code for problem in report.problems}
    yield from _troubles(report.node.node, report.problems, now)
    for peer in report.peers:
        if peer.linked and peer.details is not None:
            theirs = (one for one in peer.details.problems if one.code not in own & _MUTUAL)
            yield from _troubles(peer.node, theirs, now)


def _troubles(
    node: str, problems: Iterable[Problem], now: float
) -> Iterator[tuple[_Key, _Trouble]]:
    by_code: dict[str, list[Problem]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)
    for code, some in by_code.items():
        text = "\n".join(f"{one.message}\n  {one.hint}".rstrip() for one in some)
        severe = any(one.severity is Severity.ERROR for one in some)
        yield (node, code), _Trouble(text=text, severe=severe, since=now)
