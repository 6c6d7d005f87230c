"""Which ports a configuration listens on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_DIRECTIVE: Final = re.compile(r"(?:^|(?<=[;{}\s]))listen\s+([^;]+);")
_COMMENT: Final = re.compile(r"(^|\s)#.*")
_MOST_PORTS: Final = 100


@dataclass(frozen=True, slots=True)
class Listen:
    """An address, or a name of one, and a port; an empty host is every address."""

    host: str
    port: int
    udp: bool = False

    @property
    def address(self) -> str:
        """The host as nginx says it."""
        return self.host or "0.0.0.0"  # noqa: S104 # it listens there

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.address
        return f"{host}:{self.port}"


def listens(dump: str) -> tuple[Listen, ...]:
    """Return where a configuration (`nginx -T`) listens, each once; unix sockets are left out."""
    found = (
        listen
        for match in _DIRECTIVE.finditer(_COMMENT.sub("", dump))
        for listen in places(*match[1].split())
    )
    return tuple(dict.fromkeys(found))


def places(address: str, *options: str) -> Iterator[Listen]:
    """Give what the arguments of a `listen` directive mean; nothing for a unix socket."""
    address = address.strip("\"'")
    if address.startswith("unix:"):
        return
    bracketed = re.fullmatch(r"\[(.*)\](?::([\d-]+))?", address)
    if bracketed:
        host, ports = bracketed[1], bracketed[2] or "80"
    elif re.fullmatch(r"\d+(-\d+)?", address):
        host, ports = "", address
    else:
        host, _, ports = address.partition(":")
    first, _, last = (ports or "80").partition("-")
    udp = "udp" in options or "quic" in options
    for port in range(int(first), min(int(last or first), int(first) + _MOST_PORTS) + 1):
        yield Listen("" if host == "*" else host, port, udp)
