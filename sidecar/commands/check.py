"""`ha check`: everything that can be known before anything starts."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress

from sidecar.commands.context import Context
from sidecar.containers.surroundings import surroundings
from sidecar.core.containers.container import Surroundings
from sidecar.core.containers.fleet import Taken, merge
from sidecar.core.containers.plan import certificate_names, unsecured
from sidecar.core.containers.site import routes
from sidecar.core.listens import Listen, listens
from sidecar.core.nginx import advice, problems
from sidecar.core.report import ContainersReport, Problem, Severity
from sidecar.core.settings import Settings
from sidecar.core.show.problems import containers_problems
from sidecar.core.words import counted
from sidecar.daemon.startup import host_problems
from sidecar.errors import ExitCode, MachineError, ProgramError
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from sidecar.programs import nginx
from sidecar.programs.nginx.ports import taken
from sidecar.settings.describe import describe


def run(context: Context) -> int:
    """Print the settings with their sources and every problem; return 78 if one is an error."""
    loaded, paths = context.loaded(), context.paths
    for line in describe(loaded):
        print(line)
    found = [*host_problems(paths), *foreseen(loaded.settings, paths)]
    for problem in found:
        print(f"\n{problem.severity}: {problem}")
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    print(f"\n{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return ExitCode.CONFIGURATION if errors else ExitCode.DONE


def foreseen(settings: Settings, paths: Paths) -> Iterator[Problem]:
    """Give what is wrong with what is to be served: the configuration and the containers."""
    yield from _configuration(settings, paths)
    yield from _docker(settings, paths)


def _configuration(settings: Settings, paths: Paths) -> Iterator[Problem]:
    """Give what is wrong with the configuration on disk, if the bundled nginx is to serve it."""
    if not settings.nginx:
        return
    if not (paths.nginx / "nginx.conf").exists():
        yield Problem(
            code="nginx-conf-missing",
            severity=Severity.WARNING,
            message=f"{paths.nginx} has no nginx.conf: the stock files will be added",
        )
        return
    try:
        dump = asyncio.run(nginx.dump(paths.nginx))
    except ProgramError as error:
        yield Problem(
            code="nginx-config",
            severity=Severity.ERROR,
            message=error.message,
            hint=error.hint or advice(error.message),
        )
        return
    yield from problems(
        dump,
        directory=str(paths.run / "nginx"),
        sites=bool(settings.sites) or settings.containers,
        vips=[vip.ip for vip in settings.vips],
    )
    if paths.control_socket.exists() or not _answers(settings.http_port):
        yield from (_taken(listen, holder) for listen, holder in taken(listens(dump)))


def _docker(settings: Settings, paths: Paths) -> Iterator[Problem]:
    """Give what is wrong with the containers of this host, if they are to be served."""
    if not settings.containers:
        return
    # Docker's library is large: only who asks for containers has it.
    from sidecar.containers.engine import Engine  # noqa: PLC0415

    try:
        containers = Engine(settings.docker_host, settings.containers_filter).all()
    except MachineError as error:
        yield from containers_problems(ContainersReport(error=error.message))
        return
    around = asyncio.run(_surroundings(settings))
    own, unusable = routes(containers.values(), around)
    sites, unserved = merge(own, (), Taken(sites=frozenset(site.host for site in settings.sites)))
    known = asyncio.run(nginx.certificates(paths.nginx))
    certificates = nginx.by_host(paths.nginx, certificate_names(sites), known)
    ignored = (*unusable, *unserved, *unsecured(sites, certificates))
    yield from containers_problems(ContainersReport(ignored=tuple(map(str, ignored))))


async def _surroundings(settings: Settings) -> Surroundings:
    async with Network() as network:
        return surroundings(settings, settings.interface or "", network)


def _taken(listen: Listen, holder: str) -> Problem:
    whose = f"{holder} of this container" if holder else "another program on this host"
    return Problem(
        code="port-taken",
        severity=Severity.ERROR,
        message=f"{whose} uses {listen}, which nginx needs",
        hint=f"on the host, `ss -{'u' if listen.udp else 't'}lnp` names it",
    )


def _answers(port: int) -> bool:
    """Tell whether a node runs on this host, in a container that this one cannot look into."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
