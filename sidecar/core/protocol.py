"""What the nodes say to each other: one JSON object per line.

    {"protocol": [1, 0], "node": "192.0.2.11", "version": "0.1.0", "role": "MASTER", …}
    {"protocol": [1, 0], "refused": "…"}

that is a NodeState, and a Refusal. Every line stands alone: the first state is the greeting, and a
link that broke has nothing to resume. A newer minor may add fields, which older nodes ignore; a
field of ours that is missing has its default. Whatever arrives is hostile until checked here.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any, Final, NoReturn

from sidecar.core.report import NodeState, Role
from sidecar.core.settings import Settings
from sidecar.core.snapshot import is_id

PROTOCOL: Final = (1, 0)
"""Major and minor: nodes of different majors do not talk."""

MAX_LINE: Final = 64 * 1024
"""Bytes of the longest line, with its end."""

_MAX_TEXT: Final = 500
_MAX_ITEMS: Final = 64
_MAX_CLOCK: Final = 2.0**40
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")


class ProtocolError(Exception):
    """A line that is not what a node of ours says; the message tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The other side does not go on, and why."""

    reason: str


def encode(message: NodeState | Refusal) -> bytes:
    """Return the line, with its end, that `decode` turns into `message` again."""
    body = {"refused": message.reason} if isinstance(message, Refusal) else asdict(message)
    return json.dumps({"protocol": PROTOCOL, **body}, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> NodeState | Refusal:
    """Return the message in `line`; raise ProtocolError for everything else."""
    raw = _object(line)
    # Of all majors, so that a node that is too old learns that it is.
    if "refused" in raw:
        return Refusal(reason=_field("refused", _text, raw["refused"]))
    _check_protocol(raw.get("protocol"))
    for name in ("node", "version"):
        if name not in raw:
            raise ProtocolError(f"field {name} is missing")
    known: dict[str, Any] = {
        name: _field(name, check, raw[name]) for name, check in _FIELDS.items() if name in raw
    }
    return NodeState(**known)


def check_claim(state: NodeState, *, sender: str, own: str) -> None:
    """Raise ProtocolError unless `state` is that of the node whose connection it came on."""
    if state.node == own:
        raise ProtocolError(f"two nodes have the same address: {sender} says it is {own} too")
    if state.node != sender:
        raise ProtocolError(f"{sender} says it is {state.node}")


def settings_digest(settings: Settings) -> str:
    """Return a digest of the settings that must be the same on every node."""
    same = (settings.nodes, settings.vips, settings.vrid, float(settings.advert_interval))
    return hashlib.sha256(json.dumps(same, default=str).encode()).hexdigest()


def _object(line: bytes) -> Mapping[str, object]:
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


def _field[T](name: str, check: Callable[[object], T], value: object) -> T:
    try:
        return check(value)
    except ValueError as error:
        raise ProtocolError(f"field {name} is not valid: {error}") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise ValueError(f"must be at most {_MAX_TEXT} printable characters")
    return value


def _name(value: object) -> str:
    if not (text := _text(value)):
        raise ValueError("must not be empty")
    return text


def _names(value: object) -> tuple[str, ...]:
    return _tuple(_name, value)


def _version(value: object) -> str:
    if not _VERSION.fullmatch(text := _text(value)):
        raise ValueError("must be a version number")
    return text


def _digest(value: object) -> str:
    if not is_id(text := _text(value)):
        raise ValueError("must be 64 lower-case hex digits")
    return text


def _settings(value: object) -> str:
    return "" if value == "" else _digest(value)


def _head(value: object) -> str | None:
    return None if value is None else _digest(value)


def _address(value: object) -> str:
    if "%" in (text := _text(value)):
        raise ValueError("must be an address without a zone")
    return str(ip_address(text))


def _addresses(value: object) -> tuple[str, ...]:
    return _tuple(_address, value)


def _tuple(check: Callable[[object], str], value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > _MAX_ITEMS:
        raise ValueError(f"must be a list of at most {_MAX_ITEMS}")
    return tuple(check(item) for item in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 # the text is at fault
    return value


def _role(value: object) -> Role:
    return Role(_text(value))


def _clock(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 # as above
    # Compared before it is converted: JSON has integers that no float can hold.
    if not 0 <= value <= _MAX_CLOCK:
        raise ValueError("must be a time in seconds")
    return float(value)


_FIELDS: Final[Mapping[str, Callable[[object], object]]] = {
    "node": _address,
    "version": _version,
    "role": _role,
    "vips": _addresses,
    "eligible": _flag,
    "hard": _names,
    "soft": _names,
    "draining": _flag,
    "yielding": _flag,
    "settings": _settings,
    "head": _head,
    "clock": _clock,
}
