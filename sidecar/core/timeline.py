"""What happened on the nodes: one list for all of them, newest first, of a bounded length.

Each node keeps what it saw itself and what it heard of the others. So all have the same list, and a
node that was away, or lost its disk, gets it back.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final

MOST: Final = 50
"""Events that are kept and shown."""

FUTURE: Final = 300.0
"""Seconds by which a clock may be ahead. What is later is not believed: it would stay on top."""


class EventKind(StrEnum):
    """What an event is about; `Event.subject` says which one."""

    START = "start"
    """The node was started; the subject is its version."""
    ROLE = "role"
    """Its VRRP role changed; the subject is the new one."""
    SNAPSHOT = "snapshot"
    """The folders were changed; the subject is the snapshot's id."""
    ERROR = "error"
    """A problem began; the subject is its code."""
    WARNING = "warning"
    """As ERROR, for one that is no error."""
    SOLVED = "solved"
    """A problem ended; the subject is its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened on a node, at one moment."""

    time: float
    """Unix time, by the clock of that node."""
    node: str
    """Empty for a merge of snapshots, which every node makes alike."""
    kind: EventKind
    subject: str
    text: str = ""
    """Why, or what, in words."""
    previous: str = ""
    """For the role MASTER: the node that had it before, if that is known."""
    gap: float | None = None
    """For the role MASTER: seconds since the last advert of `previous`; None if nobody measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advert:
    """A VRRP advert (RFC 5798 §5.2) of another node; priority 0 says that it stops."""

    source: str
    priority: int
    time: float
    """Unix time when the kernel received it."""


def merged(*timelines: Iterable[Event], now: float) -> tuple[Event, ...]:
    """Return the newest `MOST` of all events, each once, newest first: the same on every node."""
    believed = {event for events in timelines for event in events if event.time <= now + FUTURE}
    return tuple(islice(sorted(believed, key=_order, reverse=True), MOST))


def _order(event: Event) -> tuple[float, str, str, str, str]:
    return event.time, event.node, event.kind, event.subject, event.text
