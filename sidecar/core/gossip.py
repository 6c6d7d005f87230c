"""What the nodes tell each other beside their states: for people only, nothing is decided by it.

It travels as one more field of a state, and only when it has changed. What cannot be understood is
dropped, and the state counts all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec import convert, to_builtins

from sidecar.core.report import Details, Report
from sidecar.core.timeline import Event

ROOM: Final = 32 * 1024
"""Bytes that it takes of a line; then the oldest events are left out."""

_MOST_ITEMS: Final = 64
_MOST_TEXT: Final = 500
_MOST_NUMBER: Final = 2.0**40
_MOST_PROBLEMS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Gossip:
    """What a node tells of its inside, and of what happened on all nodes, as far as it knows."""

    details: Details | None = None
    events: tuple[Event, ...] = ()


def details_of(report: Report, settings: Mapping[str, str]) -> Details:
    """Return what the peers are told of a node, with the digests of its `settings`."""
    peers = report.sync.peers if report.sync is not None else ()
    return Details(
        started=report.started,
        synced=max((peer.last_success for peer in peers), default=0.0),
        fetching=next(filter(None, (peer.fetching for peer in peers)), None),
        vrrp_heard=report.vrrp_heard,
        processes=report.processes[:_MOST_ITEMS],
        checks=report.checks[:_MOST_ITEMS],
        problems=report.problems[:_MOST_PROBLEMS],
        settings=settings,
    )


def pack(gossip: Gossip) -> Mapping[str, Any]:
    """Return it as values for JSON that `unpack` accepts and that take at most `ROOM` bytes."""
    events = gossip.events
    while True:
        packed: dict[str, Any] = _tamed(to_builtins(replace(gossip, events=events)))
        if len(json.dumps(packed)) <= ROOM:
            return packed
        if not events:
            return {}
        events = events[: len(events) // 2]


def unpack(raw: object) -> Gossip:
    """Return what a peer says; raise ValueError for what none of ours would."""
    if _tamed(raw) != raw:
        raise ValueError("a text or a number is out of bounds")
    return convert(raw, Gossip)


def _tamed(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return JSON values with every list, text and number within bounds, and texts printable."""
    match value:
        case str():
            text = "".join(map(_shown, value[:_MOST_TEXT]))
            return text if len(value) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
        case dict():
            items = list(value.items())[:_MOST_ITEMS]
            return {_tamed(name): _tamed(item) for name, item in items}
        case list() | tuple():
            return [_tamed(item) for item in value[:_MOST_ITEMS]]
        case int() | float() if not isinstance(value, bool):
            return value if abs(value) <= _MOST_NUMBER else 0
        case _:
            return value


def _shown(character: str) -> str:
    return character if character.isprintable() or character == "\n" else " "
