"""nginx's files: the stock ones that become the user's, and the rendered ones that stay ours."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.core.containers.plan import Fleet
from sidecar.core.containers.plan import plan as plan_containers
from sidecar.core.settings import Settings, Site
from sidecar.core.sites import DEFAULT_HOST, listens, plan
from sidecar.errors import SettingsError
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.programs.nginx.relay import Pair
from sidecar.programs.templates import render

CONTAINERS: Final = "sites_containers.conf"
"""After sites.conf in the order of nginx: what comes first is the default of a port."""

_WAY_OUT: Final = "mount it writable, or put your own nginx.conf there"


def install_stock(target: Path, stock: Path) -> tuple[Path, ...]:
    """Add each stock file that `target` lacks, if it has no nginx.conf; return what was added.

    New files and directories belong to the owner of `target`. Raise SettingsError if they cannot
    be written.
    """
    main = target / "nginx.conf"
    if _present(main):
        return ()
    # nginx.conf comes last: an interrupted installation starts over.
    wanted = sorted(_below(stock), key=lambda path: (path.name == main.name, path))
    added = []
    try:
        for source in wanted:
            path = target / source.relative_to(stock)
            if not _present(path):
                _add(path, source.read_bytes(), target)
                added.append(path)
    except OSError as error:
        raise SettingsError(
            [f"cannot add the stock nginx files to {target}: {error.strerror}\n    {_WAY_OUT}"]
        ) from error
    return tuple(added)


def rendered(settings: Settings, paths: Paths) -> dict[Path, str]:
    """Return the files that nginx.conf includes from our run directory, by path."""
    directory, templates = paths.run / "nginx", paths.config / "templates"
    ipv6 = has_ipv6()
    sites = plan(
        settings.sites,
        certificates=certificate_directories(paths.nginx, settings.sites),
        resolvers=resolvers(),
        hosts=hosts(),
        ipv6=ipv6,
    )
    port_80 = listens(80, ipv6=ipv6)
    # The welcome page is for names that no other site has, unless a site of HA_SITES is.
    taken = any(site.host == DEFAULT_HOST for site in settings.sites)
    default_80 = port_80 if taken else tuple(f"{value} default_server" for value in port_80)
    socket = paths.nginx_status_socket
    return {
        directory / "status.conf": render(templates / "status.conf.j2", socket=socket),
        directory / "sites.conf": render(templates / "sites.conf.j2", sites=sites),
        directory / "port-80.inc": _listen_lines(port_80),
        directory / "default-80.inc": _listen_lines(default_80),
    }


def rendered_containers(fleet: Fleet, paths: Paths, certificates: Mapping[str, str]) -> str:
    """Return the text of the file with the sites of containers; given: each host's certificate."""
    planned = plan_containers(fleet, certificates=certificates, ipv6=has_ipv6())
    template = paths.config / "templates" / "containers.conf.j2"
    return render(template, plan=planned, pair=Pair.below(paths, fleet.shown))


def certificate_directories(root: Path, sites: Iterable[Site]) -> dict[str, str]:
    """Return the directory with certificate and key of each site that has both, by host."""
    directories = {site.host: root / "certs" / site.host for site in sites}
    return {
        host: str(directory)
        for host, directory in directories.items()
        if (directory / "fullchain.pem").is_file() and (directory / "privkey.pem").is_file()
    }


def resolvers(path: Path = Path("/etc/resolv.conf")) -> tuple[str, ...]:
    """Return the name servers of resolv.conf(5) that nginx can use: it knows no zones (%)."""
    return tuple(
        fields[1]
        for fields in _fields(path)
        if fields[0] == "nameserver" and len(fields) > 1 and "%" not in fields[1]
    )


def hosts(path: Path = Path("/etc/hosts")) -> dict[str, str]:
    """Return the first address of each name in a file like /etc/hosts."""
    addresses: dict[str, str] = {}
    for address, *names in _fields(path):
        for name in names:
            addresses.setdefault(name.lower(), address)
    return addresses


def has_ipv6(path: Path = Path("/proc/net/if_inet6")) -> bool:
    """Tell whether the kernel knows IPv6; without it `listen [::]` ends nginx."""
    return path.exists()


def remove_sockets(paths: Paths) -> None:
    """Remove the unix sockets that a killed nginx left: a new one could not bind to them."""
    for directory in (paths.run / "nginx", paths.relay_sockets):
        for path in directory.glob("*.sock"):
            path.unlink(missing_ok=True)


def _listen_lines(values: Iterable[str]) -> str:
    return "".join(f"listen {value};\n" for value in values)


def _below(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())


def _add(path: Path, content: bytes, target: Path) -> None:
    owner = target.stat()
    missing = [parent for parent in path.parents if not parent.exists()]
    for directory in reversed(missing):
        directory.mkdir()
        _give(directory, owner)
    files.write(path, content, durable=True)
    _give(path, owner)


def _give(path: Path, owner: os.stat_result) -> None:
    # Some network file systems refuse it; root can read and nginx serve the file all the same.
    with suppress(PermissionError):
        os.chown(path, owner.st_uid, owner.st_gid)


def _present(path: Path) -> bool:
    """Tell whether there is something, be it a link to nowhere."""
    return path.exists(follow_symlinks=False)


def _fields(path: Path) -> Iterator[list[str]]:
    """Give the words of each line; comments and empty lines have none."""
    with suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            if words := line.partition("#")[0].split():
                yield words
