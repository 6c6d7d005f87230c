"""`ha check`: everything that can be known before anything starts."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress

from sidecar.commands.context import Context
from sidecar.core.listens import listens
from sidecar.core.nginx import advice, problems
from sidecar.core.report import Severity
from sidecar.core.settings import Settings
from sidecar.daemon.startup import host_problems
from sidecar.errors import ExitCode, ProgramError
from sidecar.host.paths import Paths
from sidecar.programs import nginx
from sidecar.programs.nginx.ports import taken
from sidecar.settings.describe import describe


def run(context: Context) -> int:
    """Print the settings with their sources and every problem; return 78 if one is an error."""
    loaded, paths = context.loaded(), context.paths
    for line in describe(loaded):
        print(line)
    found = [*_host(paths), *_nginx(loaded.settings, paths)]
    for severity, text in found:
        print(f"\n{severity}: {text}")
    errors = sum(severity is Severity.ERROR for severity, _ in found)
    print(f"\n{errors} errors, {len(found) - errors} warnings")
    return ExitCode.CONFIGURATION if errors else ExitCode.DONE


def _host(paths: Paths) -> Iterator[tuple[Severity, str]]:
    return ((Severity.ERROR, problem) for problem in host_problems(paths))


def _nginx(settings: Settings, paths: Paths) -> Iterator[tuple[Severity, str]]:
    """Give what is wrong with the configuration on disk, if the bundled nginx is to serve it."""
    if not settings.nginx:
        return
    if not (paths.nginx / "nginx.conf").exists():
        yield Severity.WARNING, f"{paths.nginx} has no nginx.conf: the stock files will be added"
        return
    try:
        dump = asyncio.run(nginx.dump(paths.nginx))
    except ProgramError as error:
        yield Severity.ERROR, f"{error.message}\n    {error.hint or advice(error.message)}".rstrip()
        return
    for problem in problems(
        dump,
        directory=str(paths.run / "nginx"),
        sites=bool(settings.sites),
        vips=[vip.ip for vip in settings.vips],
    ):
        yield problem.severity, f"{problem.message}\n    {problem.hint}".rstrip()
    if paths.control_socket.exists() or not _answers(settings.http_port):
        for listen, holder in taken(listens(dump)):
            whose = f"{holder} of this container" if holder else "another program on this host"
            hint = f"on the host, `ss -{'u' if listen.udp else 't'}lnp` names it"
            yield Severity.ERROR, f"{whose} uses {listen}, which nginx needs\n    {hint}"


def _answers(port: int) -> bool:
    """Tell whether a node runs on this host, in a container that this one cannot look into."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
