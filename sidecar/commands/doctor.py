"""`ha doctor`: what is wrong, on a live node or instead of one."""

import asyncio
import json as notation
import sys
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from msgspec import to_builtins

from sidecar import __version__
from sidecar.commands.check import foreseen
from sidecar.commands.context import Context
from sidecar.commands.render import rendered
from sidecar.commands.snapshots import history_of
from sidecar.commands.status import ask, style
from sidecar.core.doctor.examine import examine
from sidecar.core.doctor.facts import Facts
from sidecar.core.doctor.finding import Finding, Verdict, findings_text
from sidecar.core.report import Report
from sidecar.core.settings import Identity, Settings
from sidecar.core.show.present import from_json, to_json
from sidecar.doctor.bundle import pack
from sidecar.doctor.gather import gather
from sidecar.errors import ExitCode, ProgramError, SidecarError
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.programs import nginx
from sidecar.settings.describe import describe

_PATIENCE: Final = 2.0
_STANDARD_OUTPUT: Final = "-"


def run(context: Context, *, json: bool, quiet: bool, bundle: str | None) -> int:
    """Print all findings by group, as JSON, or into an archive; return 1 if one is a problem."""
    settings, paths = context.loaded().settings, context.paths
    report = _report(context, settings)
    against = tuple(foreseen(settings, paths))
    facts = asyncio.run(gather(settings, paths, report=report, configuration=against))
    findings = examine(facts)
    plain = notation.dumps(to_builtins(findings), indent=2)
    if bundle is not None:
        _write(bundle, pack(_contents(context, facts, plain), _secrets(settings)))
    if bundle != _STANDARD_OUTPUT:
        print(plain if json else findings_text(findings, style(), quiet=quiet))
    return _exit_code(findings)


def _exit_code(findings: tuple[Finding, ...]) -> int:
    problem = any(one.verdict is Verdict.PROBLEM for one in findings)
    return ExitCode.NO if problem else ExitCode.DONE


def _report(context: Context, settings: Settings) -> Report | None:
    """Return what the running node says: the one here, or one in another container of this host."""
    with suppress(SidecarError):
        return ask(context.control())
    connection = HTTPConnection("127.0.0.1", settings.http_port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/api/v1/status")
        return from_json(notation.loads(connection.getresponse().read()))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _contents(context: Context, facts: Facts, findings: str) -> Mapping[str, str]:
    """Return the files of an archive, by name; secrets are taken out later."""
    contents = {
        "version.txt": f"kiss-ha {__version__}\n",
        "doctor.json": findings,
        "settings.txt": "\n".join(describe(context.loaded())),
        "nginx.txt": _nginx(context.paths),
        "history.json": notation.dumps(to_builtins(history_of(context).headers()), indent=2),
    }
    if facts.report is not None:
        contents["status.json"] = notation.dumps(to_json(facts.report), indent=2)
    if facts.own is not None:
        peers = tuple(node for node in facts.settings.nodes if node != facts.own)
        identity = Identity(
            node=facts.own,
            index=facts.settings.nodes.index(facts.own),
            interface=next(
                one.interface for one in facts.addresses or () if one.address == str(facts.own)
            ),
            peers=peers,
        )
        made = rendered(facts.settings, identity, context.paths)
        contents |= {f"rendered/{path.name}": text for path, text in made.items()}
    return contents


def _nginx(paths: Paths) -> str:
    """Return nginx's whole configuration, or its words against it."""
    try:
        return asyncio.run(nginx.dump(paths.nginx))
    except ProgramError as error:
        return str(error)


def _secrets(settings: Settings) -> tuple[str, ...]:
    return (*settings.secrets, *settings.notify)


def _write(name: str, archive: bytes) -> None:
    if name == _STANDARD_OUTPUT:
        sys.stdout.buffer.write(archive)
        return
    try:
        files.write(Path(name), archive, mode=0o600)
    except OSError as error:
        raise SidecarError(
            f"cannot write {name}: {error.strerror}",
            "write it outside the container: "
            "docker compose exec -T sidecar ha doctor --bundle - >kiss-ha.tar.gz",
        ) from error
