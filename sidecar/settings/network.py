"""The types of settings that name places on a network; like `parse`, text → value or ValueError."""

import re
from collections.abc import Sequence
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
)
from typing import Final

from sidecar.core.hostname import is_hostname
from sidecar.core.settings import Address, Interface, Site
from sidecar.settings.parse import items, shown

# A path holds nothing that nginx would read as syntax: neither quotes, `;`, `{`, `$` nor `\`.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9._~!&()*+=:@%/-]*)?(?P<query>\?[A-Za-z0-9._~!&()*+=:@%/?$;-]*)?"
)
_ANY_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_NEXT_URL: Final = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_FILTER: Final = re.compile(r"[a-z-]{1,20}=[!-~ ]{1,200}")
_DOCKER_HOST: Final = re.compile(
    r"unix:///[A-Za-z0-9._/-]{1,100}"
    r"|tcp://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}/?"
)
_MAX_URL: Final = 500
_MAX_URLS: Final = 50
_USER: Final = re.compile(r"//[^/?#]*@")


def address(text: str) -> Address:
    """Return an address that a host can have on its network."""
    parsed = _address(text)
    if parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified or parsed.is_reserved:
        raise ValueError(f"{shown(text)} is not the address of a host")
    if isinstance(parsed, IPv6Address) and parsed.is_link_local:
        raise ValueError(f"{shown(text)} is link-local, which means nothing without an interface")
    return parsed


def nodes(text: str) -> tuple[Address, ...]:
    """Return the addresses of at least two nodes, all of one family."""
    parsed = tuple(address(item) for item in items(text))
    _refuse_twice(parsed)
    if len(parsed) < 2:
        raise ValueError("at least two nodes are required")
    if len({node.version for node in parsed}) > 1:
        raise ValueError("IPv4 and IPv6 are mixed; all nodes need the same family")
    return parsed


def vips(text: str) -> tuple[Interface, ...]:
    """Return virtual addresses; the prefix is that of the whole address where none is given."""
    parsed = tuple(_vip(item) for item in items(text))
    _refuse_twice([vip.ip for vip in parsed])
    if not parsed:
        raise ValueError("at least one address is required")
    return parsed


def listen(text: str) -> tuple[str, ...]:
    """Return addresses to listen on; loopback and all addresses (0.0.0.0, ::) are fine."""
    parsed = tuple(_address(item) for item in items(text))
    _refuse_twice(parsed)
    for one in parsed:
        if one.is_multicast:
            raise ValueError(f"'{one}' is a multicast address")
    if not parsed:
        raise ValueError("at least one address is required")
    return tuple(str(one) for one in parsed)


def interface(text: str) -> str:
    """Return the name of a network interface (at most 15 bytes, IFNAMSIZ of netdevice(7))."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", text) or text in {".", ".."}:
        raise ValueError("not the name of a network interface")
    return text


def sites(text: str) -> tuple[Site, ...]:
    """Return reverse-proxied sites from `host=url` pairs; `_` is the host for all other names."""
    parsed = tuple(_site(item) for item in items(text))
    _refuse_twice([site.host for site in parsed])
    return parsed


def urls(text: str) -> tuple[str, ...]:
    """Return a list of http and https URLs."""
    parsed = items(text)
    if len(parsed) > _MAX_URLS:  # the peers are told each that fails, in one line
        raise ValueError(f"at most {_MAX_URLS} are allowed")
    for url in parsed:
        try:
            if len(url) > _MAX_URL:
                raise ValueError(f"longer than {_MAX_URL} characters")
            _check_url(url)
        except ValueError as error:
            raise ValueError(f"{shown(url)}: {error}") from None
    _refuse_twice(parsed)
    return tuple(parsed)


def notify(text: str) -> tuple[str, ...]:
    """Return a list of Apprise's URLs, of which only the form is known here.

    A comma may stand inside of one, so a URL ends where another one begins.
    """
    parsed = [url for part in _NEXT_URL.split(text) if (url := part.strip().rstrip(","))]
    if not all(_ANY_URL.fullmatch(url) for url in parsed):
        raise ValueError("expected URLs, `service://…`")
    return tuple(dict.fromkeys(parsed))


def filters(text: str) -> tuple[str, ...]:
    """Return filters of `docker ps`: `key=value`."""
    parsed = tuple(items(text))
    for item in parsed:
        if not _FILTER.fullmatch(item):
            raise ValueError(f"{shown(item)}: expected key=value")
    _refuse_twice(parsed)
    return parsed


def docker_host(text: str) -> str:
    """Return where the engine is: a unix socket, or TCP without TLS."""
    if not _DOCKER_HOST.fullmatch(text):
        raise ValueError("expected unix:///path or tcp://host:port")
    return text


def _address(text: str) -> Address:
    try:
        parsed = ip_address(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is not an IP address") from None
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        raise ValueError(f"{shown(text)} has a zone (%); leave it out")
    return parsed


def _vip(text: str) -> Interface:
    given, slash, prefix = text.partition("/")
    host = address(given)
    bits = host.max_prefixlen
    if slash and not (re.fullmatch(r"[0-9]{1,3}", prefix) and 1 <= int(prefix) <= bits):
        raise ValueError(f"{shown(text)} has a prefix outside 1 to {bits}")
    vip = ip_interface(f"{host}/{int(prefix) if slash else bits}")
    network = vip.network
    if isinstance(vip, IPv6Interface):
        if network.prefixlen != bits:
            raise ValueError(
                f"{shown(text)} needs /128 or no prefix: a shorter one would take the host's "
                "route to its own network along when the VIP goes"
            )
    elif network.prefixlen < 31 and vip.ip in {network.network_address, network.broadcast_address}:
        raise ValueError(f"{shown(text)} is the first or last of its network: no host can have it")
    return vip


def _site(pair: str) -> Site:
    host, equals, url = (part.strip() for part in pair.partition("="))
    try:
        if not equals:
            raise ValueError("expected host=url")
        if not is_hostname(host):
            raise ValueError("expected a host name or '_' before '='")
        if _check_url(url)["query"] is not None:
            raise ValueError("the URL of a site must not have a query")
    except ValueError as error:
        raise ValueError(f"{shown(pair)}: {error}") from None
    return Site(host=host.lower(), url=url)


def _check_url(url: str) -> re.Match[str]:
    if _USER.search(url):
        raise ValueError("a user or password in a URL would show in logs and metrics")
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("expected http://host:port/path")
    if match["port"] is not None and not 1 <= int(match["port"]) <= 65535:
        raise ValueError("expected a port from 1 to 65535")
    host = match["host"]
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif re.fullmatch(r"[0-9.]+", host):
            IPv4Address(host)
        elif not is_hostname(host):
            raise AddressValueError
    except AddressValueError:
        raise ValueError(f"'{host}' is not a valid host") from None
    return match


def _refuse_twice(values: Sequence[object]) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{shown(str(value))} appears twice")
