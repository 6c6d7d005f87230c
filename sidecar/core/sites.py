"""HA_SITES as nginx shall serve them: every name and number that the template prints."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from sidecar.core.settings import Site

DEFAULT_HOST: Final = "_"
"""The host of HA_SITES for requests that no other site wants."""

LOCALHOST: Final = "127.0.0.1"

RESOLVED_FOR: Final = "10s"
"""How long an address may be used: a container that starts again often has another one."""

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    """One site in nginx's words; an empty string means that it does not have that line."""

    host: str
    url: str
    listens: tuple[str, ...]
    """Values of `listen` of the server that proxies."""
    redirect_listens: tuple[str, ...]
    """Values of `listen` of the server that sends clients to https; empty without a certificate."""
    certificate: str
    """Directory with fullchain.pem and privkey.pem."""
    group: str
    """Name of the `upstream` block that keeps connections open: literal addresses have one."""
    server: str
    """The one server of that group."""
    variable: str
    """A name that nginx looks up while it runs."""
    resolver: str
    """Value of `resolver`: name servers and how long their answers hold."""
    target: str
    """Value of `proxy_pass`."""
    path: str
    """What the upstream has in front of every path, without a slash at the end."""
    tls_name: str
    """Name for SNI towards an https upstream."""


def plan(
    sites: Sequence[Site],
    *,
    certificates: Mapping[str, str],
    resolvers: Sequence[str],
    hosts: Mapping[str, str],
    ipv6: bool,
) -> tuple[SitePlan, ...]:
    """Return the sites as nginx shall serve them.

    Given: the directory of each host's certificate, addresses of name servers, the names of
    /etc/hosts (nginx's resolver does not read it), and whether this host knows IPv6.
    """
    resolver = _resolver(resolvers, ipv6=ipv6)
    return tuple(
        _plan(
            site,
            group=f"ha_{number}",
            certificate=certificates.get(site.host, ""),
            resolver=resolver,
            hosts=hosts,
            ipv6=ipv6,
        )
        for number, site in enumerate(sites, start=1)
    )


def listens(port: int, *, ipv6: bool, options: Collection[str] = ()) -> tuple[str, ...]:
    """Return the values of `listen` for a port on every address of the host."""
    addresses = [str(port), f"[::]:{port}"] if ipv6 else [str(port)]
    return tuple(" ".join([address, *options]) for address in addresses)


def _plan(
    site: Site,
    *,
    group: str,
    certificate: str,
    resolver: str,
    hosts: Mapping[str, str],
    ipv6: bool,
) -> SitePlan:
    url = urlsplit(site.url)
    name = url.hostname or ""
    literal = _literal(name, hosts)
    port = url.port or _PORTS[url.scheme]
    path = url.path.rstrip("/")
    default = ("default_server",) if site.host == DEFAULT_HOST else ()
    plain = listens(80, ipv6=ipv6, options=default)
    return SitePlan(
        host=site.host,
        url=site.url,
        listens=listens(443, ipv6=ipv6, options=("ssl", *default)) if certificate else plain,
        redirect_listens=plain if certificate else (),
        certificate=certificate,
        group=group if literal else "",
        server=f"{literal}:{port}" if literal else "",
        variable="" if literal else name,
        resolver="" if literal else resolver,
        target=_target(url, group if literal else f"$ha_upstream:{port}", path),
        path=path,
        tls_name=name if url.scheme == "https" else "",
    )


def _target(url: SplitResult, authority: str, path: str) -> str:
    # Without a path nginx forwards what the client asked for as it came; with variables in it,
    # a path replaces all of that, hence $request_uri.
    return (
        f"{url.scheme}://{authority}{path}$request_uri" if path else f"{url.scheme}://{authority}"
    )


def _literal(name: str, hosts: Mapping[str, str]) -> str:
    """Return the address to write for `name`; empty if nginx must look it up."""
    if name == "localhost":
        return LOCALHOST
    try:
        address = ip_address(hosts.get(name, name))
    except ValueError:
        return ""
    return str(address) if address.version == 4 else f"[{address}]"


def _resolver(addresses: Sequence[str], *, ipv6: bool) -> str:
    if not addresses:
        return ""
    servers = [f"[{address}]" if ":" in address else address for address in addresses]
    return " ".join([*servers, f"valid={RESOLVED_FOR}", *([] if ipv6 else ["ipv6=off"])])
