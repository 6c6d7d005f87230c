"""What nginx says, understood: complaints, counters, a dump of the whole configuration."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from sidecar.core.report import Problem, Severity, StubStatus
from sidecar.core.settings import Address

_PREFIX: Final = re.compile(
    r"(?:nginx: )?(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?\[emerg\] (?:\d+#\d+: )?(?:\*\d+ )?"
)

_STUB_STATUS: Final = re.compile(
    r"Active connections: (\d+) *\n"
    r"server accepts handled requests\n"
    r" *(\d+) (\d+) (\d+) *\n"
    r"Reading: (\d+) Writing: (\d+) Waiting: (\d+)\s*"
)

_ADVICE: Final = (
    (r"getpwnam\(", "write `user www-data;` or `user nginx;`: the image has no other for it"),
    (r"bind\(\) .*\(98: ", "another process on this host holds that port: `ss -ltnp` names it"),
    (
        r"bind\(\) .*\(99: ",
        "listen on all addresses (`listen 80;`): a VIP is only there while this node is MASTER",
    ),
    (r"bind\(\) .*\(13: ", "the container needs cap_add: NET_BIND_SERVICE"),
    (r"socket\(\) .*\(97: ", "this host has no IPv6: leave the `listen [::]` lines out"),
    (
        r"host not found in upstream",
        "one name without an address stops all sites: use HA_SITES, or a variable and a `resolver`",
    ),
    (
        r"\(30: ",
        "only /run, /tmp, /var/lib/nginx and your volumes can be written; log to /dev/stdout",
    ),
    (r"key values mismatch", "certificate and key are not a pair: copy both again"),
    (r'"daemon" directive is duplicate', "remove `daemon` from your files: kiss-ha sets it"),
    (r"dlopen\(", "the image has the stream module only; remove the other `load_module` lines"),
)


def emergency(line: str) -> str:
    """Return an `[emerg]` line without time and process; empty if it is none."""
    match = _PREFIX.match(line)
    return f"[emerg] {line[match.end() :].strip()}" if match else ""


def first_emergency(lines: Iterable[str]) -> str:
    """Return the first `[emerg]` of `lines`, cleaned; empty if there is none."""
    return next(filter(None, map(emergency, lines)), "")


def advice(complaint: str) -> str:
    """Return what to change when nginx complains so; empty if there is nothing to add."""
    return next((text for pattern, text in _ADVICE if re.search(pattern, complaint)), "")


def parse_stub_status(text: str) -> StubStatus:
    """Return nginx's counters from the page of ngx_http_stub_status_module.

    Raise ValueError if it is another page.
    """
    match = _STUB_STATUS.fullmatch(text)
    if match is None:
        raise ValueError("that is not a stub_status page")
    active, accepted, handled, requests, reading, writing, waiting = map(int, match.groups())
    return StubStatus(
        active=active,
        accepted=accepted,
        handled=handled,
        requests=requests,
        reading=reading,
        writing=writing,
        waiting=waiting,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a configuration is made of, as absolute paths."""

    files: frozenset[str] = frozenset()
    """What nginx read of it, and the certificates, keys and lists that are read with it."""
    patterns: frozenset[str] = frozenset()
    """What it includes, which new files may match."""
    certificates: frozenset[str] = frozenset()
    """Those of the files that have an end."""


def named(dump: str, directory: str) -> Named:
    """Return what a configuration (`nginx -T`) below `directory` names.

    What a variable names is read for each request, and needs no reload.
    """
    certificates = _paths(dump, r"(?:\w+_)?ssl_certificate", directory)
    return Named(
        files=frozenset(_FILE.findall(dump)) | certificates | _paths(dump, _LOADED, directory),
        patterns=_paths(dump, "include", directory),
        certificates=certificates,
    )


def _paths(dump: str, directive: str, directory: str) -> frozenset[str]:
    values = (value.strip("\"'") for value in _arguments(dump, directive))
    return frozenset(
        value if value.startswith("/") else f"{directory}/{value}"
        for value in values
        if "$" not in value and not value.startswith(_NO_FILE)
    )


_FILE: Final = re.compile(r"^# configuration file (/.+):$", re.MULTILINE)
_LOADED: Final = (
    r"(?:\w+_)?ssl_(?:certificate_key|trusted_certificate|client_certificate|password_file|crl"
    r"|dhparam|session_ticket_key|stapling_file)"
)
_NO_FILE: Final = ("data:", "engine:", "store:")


def includes(dump: str, directory: str) -> bool:
    """Tell whether a configuration (`nginx -T`) includes files of `directory`."""
    return any(
        path.strip("\"'").startswith(f"{directory}/") for path in _arguments(dump, "include")
    )


def problems(
    dump: str, *, directory: str, sites: bool, vips: Iterable[Address]
) -> Iterator[Problem]:
    """Give what a valid configuration (`nginx -T`) makes worse than it could be.

    `directory` is where our rendered files lie; `sites` tells whether HA_SITES has any.
    """
    if not includes(dump, directory):
        lost = "HA_SITES are not served, and there " if sites else "there "
        yield Problem(
            code="nginx-include",
            severity=Severity.ERROR if sites else Severity.WARNING,
            message=f"nginx.conf does not include {directory}/*.conf: {lost}are no nginx metrics",
            hint=f"add `include {directory}/*.conf;` inside its http block",
        )
    held = set(vips)
    for listen in dict.fromkeys(_arguments(dump, "listen")):
        if _address(listen) in held:
            yield Problem(
                code="nginx-listen-vip",
                severity=Severity.ERROR,
                message=f"`listen {listen};` fails on every node that does not hold the VIP",
                hint="listen on all addresses: `listen 80;` and `listen [::]:80;`",
            )


def _arguments(dump: str, directive: str) -> Iterator[str]:
    """Give the first argument of each `directive` of a configuration; comments do not count."""
    code = re.sub(r"(^|\s)#.*", "", dump)
    return (
        match[1] for match in re.finditer(rf"(?:^|[;{{}}\s]){directive}\s+([^;\s]+)[^;]*;", code)
    )


def _address(listen: str) -> Address | None:
    """Return the address of a `listen` value; None where it names none."""
    bracketed = listen.startswith("[")
    host = listen[1:].partition("]")[0] if bracketed else listen.partition(":")[0]
    try:
        return ip_address(host)
    except ValueError:
        return None
