"""What the nodes say to each other: one JSON object per line.

    {"protocol": [1, 1], "node": "192.0.2.11", "version": "0.1.0", "role": "MASTER", …}
    {"protocol": [1, 1], "sites": [{"host": "app.example.com", …}, …], "last": true, …}
    {"protocol": [1, 1], "refused": "…"}

that is a NodeState; a Page of the sites of its containers, for nodes that say that they take them;
and a Refusal. A state may have one field more, `gossip` (`core.gossip`). Every state stands alone:
the first one is the greeting, and a link that broke has nothing to resume. A newer minor may add
fields, which older nodes ignore; a field of ours that is missing has its default. Whatever arrives
is hostile until checked here, and by the bounds that the fields carry.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from typing import Annotated, Any, Final, NoReturn

from msgspec import Meta, convert, to_builtins

from sidecar.core.gossip import Gossip, unpack
from sidecar.core.report import Clock, NodeState, Text
from sidecar.core.settings import Settings

PROTOCOL: Final = (1, 1)
"""Major and minor: nodes of different majors do not talk. 1.1 brought keys and gossip."""

MAX_LINE: Final = 64 * 1024
"""Bytes of the longest line, with its end."""

PAGE: Final = 50
"""Sites of one line: however long their names are, it is not too long."""


class ProtocolError(Exception):
    """A line that is not what a node of ours says; the message tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The other side does not go on, and why."""

    refused: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a node's sites; what they are is checked when all are there."""

    sites: Annotated[tuple[object, ...], Meta(max_length=PAGE)]
    clock: Clock
    """Unix time in seconds at which the node came to have these sites."""
    first: bool
    last: bool


def pages(sites: Sequence[object], clock: float) -> tuple[bytes, ...]:
    """Return the lines that tell of sites, as many as it takes."""
    starts = range(0, max(1, len(sites)), PAGE)
    return tuple(
        encode(
            Page(
                sites=tuple(sites[start : start + PAGE]),
                clock=clock,
                first=start == starts[0],
                last=start == starts[-1],
            )
        )
        for start in starts
    )


def encode(message: NodeState | Page | Refusal, gossip: Mapping[str, Any] | None = None) -> bytes:
    """Return the line, with its end, that `decode` turns into `message` again.

    `gossip` is what `core.gossip.pack` made; `decode_gossip` returns it.
    """
    more = {"gossip": gossip} if gossip else {}
    body = {"protocol": PROTOCOL, **to_builtins(message), **more}
    line = json.dumps(body, separators=(",", ":")).encode() + b"\n"
    return encode(message) if more and len(line) > MAX_LINE else line


def decode(line: bytes) -> NodeState | Page | Refusal:
    """Return the message in `line`; raise ProtocolError for everything else."""
    raw = _object(line)
    try:
        # Of all majors, so that a node that is too old learns that it is.
        if "refused" in raw:
            return _printable(convert(raw, Refusal))
        _check_protocol(raw.get("protocol"))
        if "sites" in raw:
            return convert(raw, Page)
        state = _printable(convert(raw, NodeState))
        return replace(
            state, node=_address(state.node), vips=tuple(_address(vip) for vip in state.vips)
        )
    except ValueError as error:
        raise ProtocolError(f"a line is not valid: {error}") from None


def decode_gossip(line: bytes) -> Gossip | None:
    """Return what comes along with a state that `decode` accepts; None where nothing does.

    Raise ProtocolError for what is not as it should be.
    """
    if b'"gossip"' not in line:
        return None
    raw = _object(line)
    try:
        return unpack(raw["gossip"]) if "gossip" in raw else None
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"gossip is not valid: {error}") from None


def check_claim(state: NodeState, *, sender: str, own: str) -> None:
    """Raise ProtocolError unless `state` is that of the node whose connection it came on."""
    if state.node == own:
        raise ProtocolError(f"two nodes have the same address: {sender} says it is {own} too")
    if state.node != sender:
        raise ProtocolError(f"{sender} says it is {state.node}")


def settings_digest(settings: Settings) -> str:
    """Return a digest of the settings that must be the same on every node."""
    same = [settings.nodes, settings.vips, settings.vrid, settings.advert_interval]
    if settings.containers:
        same.append(settings.relay_port)
    return hashlib.sha256(json.dumps(same, default=str).encode()).hexdigest()


def _object(line: bytes) -> dict[str, object]:
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a line is longer than {MAX_LINE} bytes")
    try:
        raw = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a line is not JSON") from error
    if not isinstance(raw, dict):
        raise ProtocolError("a line is not a JSON object")
    return raw


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_protocol(version: object) -> None:
    match version:
        case [int(major), int(minor), *_] if 0 <= major <= 9999 and 0 <= minor <= 9999:
            pass
        case _:
            raise ProtocolError("a line does not name its protocol")
    if major != PROTOCOL[0]:
        older = "this node" if major > PROTOCOL[0] else "the other node"
        raise ProtocolError(
            f"it speaks protocol {major}, this node {PROTOCOL[0]}: update kiss-ha on {older}"
        )


def _printable[T: NodeState | Refusal](message: T) -> T:
    """Return a message whose texts can be shown as they are; raise ValueError for others."""
    for field in fields(message):
        value = getattr(message, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not text.isprintable():
                raise ValueError(f"{field.name} is not printable")
    return message


def _address(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text} must be an address without a zone")
    return str(ip_address(text))
