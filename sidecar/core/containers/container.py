"""A container as Docker reports it, and the sites that it declares.

The variables are nginx-proxy's (VIRTUAL_HOST …); labels (`ha.host` …) mean the same and take
precedence.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import yaml

from sidecar.core.containers import words
from sidecar.core.containers.words import Method, Proto, unquoted
from sidecar.core.settings import Address, Interface

MOST_TEXT: Final = 8192
"""Characters of the longest value that is parsed."""

_LABELS: Final = {
    "VIRTUAL_HOST": "ha.host",
    "VIRTUAL_PORT": "ha.port",
    "VIRTUAL_PATH": "ha.path",
    "VIRTUAL_DEST": "ha.dest",
    "VIRTUAL_PROTO": "ha.proto",
}
_MULTIPORTS: Final = "VIRTUAL_HOST_MULTIPORTS"
_DEFAULT_PORT: Final = 80
_LOOPBACK: Final = "127.0.0.1"


class Condition(StrEnum):
    """State of a container; only one that is `up` gets requests."""

    UP = "up"
    STARTING = "starting"
    UNHEALTHY = "unhealthy"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The facts about a container that matter here."""

    name: str
    condition: Condition
    created: str = ""
    """Time in RFC 3339."""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed: tuple[int, ...] = ()
    """TCP ports."""
    addresses: tuple[Address, ...] = ()
    """On its networks; a stopped one has none."""
    host_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A host and path that a container asks for."""

    host: str
    path: str = words.ROOT
    dest: str = ""
    """Replaces the path in requests to the container; empty: the path stays."""
    proto: Proto = Proto.HTTP
    method: Method = Method.REDIRECT
    certificate: str = ""
    """Folder in certs/; empty: the one with the name of the host."""
    port: int = _DEFAULT_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Something that a container declares and that cannot be used, with the reason."""

    container: str
    reason: str

    def __str__(self) -> str:
        return f"container {self.container}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The facts about this host that decide how a container is reached."""

    networks: tuple[Interface, ...] = ()
    """Addresses of the host's interfaces with their prefixes, the preferred one first."""
    own_ports: frozenset[int] = frozenset()
    """Ports that this node itself listens on, so that no container can be behind them."""


class _Declared:
    """Reads what one container declares, and collects what is wrong with it."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.ignored: list[Ignored] = []

    def text(self, variable: str) -> str:
        """Return a value, that of the label if there is one; empty if there is neither."""
        container = self._container
        label = container.labels.get(_LABELS.get(variable, ""), "")
        return unquoted(label or container.environment.get(variable, ""))[: MOST_TEXT + 1]

    def labelled(self, variable: str) -> bool:
        """Tell whether a label gives the value."""
        return bool(self._container.labels.get(_LABELS[variable]))

    def ignore(self, name: str, value: str, error: ValueError) -> None:
        shown = value if len(value) <= 100 else f"{value[:100]}…"
        self.ignored.append(
            Ignored(container=self._container.name, reason=f"{name}={shown!r}: {error}")
        )

    def read[T](self, variable: str, parse: Callable[[str], T]) -> T | None:
        """Return a parsed value; None if it is invalid, which is recorded in `ignored`."""
        text = self.text(variable)
        try:
            return parse(text)
        except ValueError as error:
            self.ignore(variable, text, error)
            return None


def claims(container: Container) -> tuple[tuple[Claim, ...], tuple[Ignored, ...]]:
    """Return the sites that a container declares, and what of its declarations is unusable."""
    declared = _Declared(container)
    if not declared.labelled("VIRTUAL_HOST") and declared.text(_MULTIPORTS):
        found = tuple(_by_host_and_path(declared, container))
    elif declared.text("VIRTUAL_HOST"):
        found = tuple(_by_host(declared, container))
    else:
        return (), ()
    return found, tuple(declared.ignored)


def server(container: Container, claim: Claim, around: Surroundings) -> tuple[str, str]:
    """Return the address of a container for a site (`address:port`), or why it has none.

    Both are empty for a container that does not run: that it has no address is no mistake.
    """
    if container.host_network:
        if claim.port in around.own_ports:
            return (
                "",
                f"port {claim.port} of the host is used by this node itself: set VIRTUAL_PORT",
            )
        return f"{_LOOPBACK}:{claim.port}", ""
    if container.condition is Condition.STOPPED:
        return "", ""
    for network in around.networks:
        for address in container.addresses:
            if address in network.network:
                shown = f"[{address}]" if address.version == 6 else f"{address}"
                return f"{shown}:{claim.port}", ""
    return "", "it is on no network that this host reaches: use a bridge network"


def _by_host(declared: _Declared, container: Container) -> Iterator[Claim]:
    number = declared.read(
        "VIRTUAL_PORT", lambda text: words.port(text) if text else _port(container)
    )
    path = declared.read("VIRTUAL_PATH", words.path)
    dest = declared.read("VIRTUAL_DEST", words.dest)
    proto = declared.read("VIRTUAL_PROTO", words.proto)
    shared = _shared(declared)
    if number is None or path is None or dest is None or proto is None or shared is None:
        return
    method, certificate = shared
    for item in declared.text("VIRTUAL_HOST").split(","):
        if not (name := unquoted(item)):
            continue
        try:
            yield _checked(
                Claim(
                    host=words.host(name),
                    path=path,
                    dest=dest,
                    proto=proto,
                    method=method,
                    certificate=certificate,
                    port=number,
                )
            )
        except ValueError as error:
            declared.ignore("VIRTUAL_HOST", name, error)


def _by_host_and_path(declared: _Declared, container: Container) -> Iterator[Claim]:
    """Give the claims of VIRTUAL_HOST_MULTIPORTS: host → path → port, dest and proto."""
    shared = _shared(declared)
    hosts = declared.read(_MULTIPORTS, _mapping)
    if shared is None or hosts is None:
        return
    method, certificate = shared
    for name, paths in hosts.items():
        try:
            host = words.host(str(name))
            for path, given in _entries(paths or {words.ROOT: None}):
                options = dict(_entries(given or {}))
                if unknown := options.keys() - {"port", "dest", "proto"}:
                    raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
                yield _checked(
                    Claim(
                        host=host,
                        path=words.path(path),
                        dest=words.dest(_scalar(options.get("dest"))),
                        proto=words.proto(_scalar(options.get("proto"))),
                        method=method,
                        certificate=certificate,
                        port=words.port(_scalar(options.get("port")) or str(_port(container))),
                    )
                )
        except ValueError as error:
            declared.ignore(_MULTIPORTS, str(name), error)


def _shared(declared: _Declared) -> tuple[Method, str] | None:
    method = declared.read("HTTPS_METHOD", words.method)
    certificate = declared.read("CERT_NAME", words.certificate)
    return None if method is None or certificate is None else (method, certificate)


def _checked(claim: Claim) -> Claim:
    if claim.proto.grpc and claim.dest:
        raise ValueError("gRPC paths cannot be rewritten: remove VIRTUAL_DEST")
    return claim


def _port(container: Container) -> int:
    return container.exposed[0] if len(container.exposed) == 1 else _DEFAULT_PORT


def _mapping(text: str) -> Mapping[object, object]:
    if len(text) > MOST_TEXT:
        raise ValueError(f"longer than {MOST_TEXT} characters")
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError("not YAML") from error
    if not isinstance(read, dict):
        raise ValueError("expected host: {path: {port: …}}")  # noqa: TRY004 # the text is at fault
    return read


def _scalar(value: object) -> str:
    # Anything else may be built of references to itself, and endless as text.
    if value is not None and not isinstance(value, str | int):
        raise ValueError("expected a word or a number")
    return "" if value is None else unquoted(str(value))


def _entries(value: object) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        raise ValueError("expected path: {port: …, dest: …}")  # noqa: TRY004 # as above
    return ((str(key), inner) for key, inner in value.items())
