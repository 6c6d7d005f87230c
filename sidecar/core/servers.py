"""The servers of a configuration (`nginx -T`): what they serve, and where that is written.

nginx.conf ─► http ─► include conf.d/*.conf ─► server ─► names, certificate
└──► stream, mail ─► server ─► addresses
"""

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import batched
from typing import Final

from sidecar.core.listens import places
from sidecar.core.report import ServerReport

FILE: Final = re.compile(r"^# configuration file (/.+):$", re.MULTILINE)
"""What stands above each file of a dump."""

# As ngx_conf_read_token: within a word neither `#` nor `}` means anything, nor does `{` after `$`.
_PART: Final = re.compile(
    r"""\#[^\n]* | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [;{}] | (?:\\.|\$\{|[^\s;{\\])+""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Directive:
    """A line of a configuration, or a block."""

    name: str
    arguments: tuple[str, ...]
    file: str
    block: list["_Directive"]


def servers(dump: str, directory: str, rendered: str) -> tuple[ServerReport, ...]:
    """Return the servers that people have written, one for each name, in nginx's order.

    Relative paths begin at `directory`; our own files lie below `rendered`.
    """
    _, *parts = FILE.split(dump)
    files = {
        path: _parse(text, path)
        for path, text in batched(parts, 2, strict=True)
        if not path.startswith(f"{rendered}/")
    }
    found: dict[tuple[str, str], str] = {}
    for kind in _with_includes(next(iter(files.values()), []), files, directory):
        if kind.name not in ("http", "stream", "mail"):
            continue
        inside = list(_with_includes(kind.block, files, directory))
        for server in inside:
            if server.name == "server":
                own = list(_with_includes(server.block, files, directory))
                certificate = _certificate(own, inside, directory)
                for host in _hosts(own, named=kind.name == "http"):
                    key = host, server.file.removeprefix(f"{directory}/")
                    found[key] = found.get(key) or certificate
    return tuple(
        ServerReport(host=host, file=file, certificate=certificate)
        for (host, file), certificate in found.items()
    )


def _hosts(server: list[_Directive], *, named: bool) -> Iterator[str]:
    """Give the names of a server; where it has none, its addresses."""
    names = [name.lower() for name in _values(server, "server_name") if name and named]
    if names:
        yield from names
        return
    listens = [one.arguments for one in server if one.name == "listen"] or [("80",)]
    for arguments in listens:
        yield from map(str, places(*arguments))


def _certificate(server: list[_Directive], around: list[_Directive], directory: str) -> str:
    """Return the certificate of a server that speaks TLS, its own or that of the block around."""
    if not {"ssl", "quic"} & set(_values(server, "listen")):
        return ""
    for path in (*_values(server, "ssl_certificate"), *_values(around, "ssl_certificate")):
        return _absolute(path, directory)
    return ""


def _absolute(path: str, directory: str) -> str:
    return path if path.startswith("/") else f"{directory}/{path}"


def _values(block: Iterable[_Directive], name: str) -> Iterator[str]:
    return (value for one in block if one.name == name for value in one.arguments)


def _with_includes(
    block: Iterable[_Directive], files: dict[str, list[_Directive]], directory: str
) -> Iterator[_Directive]:
    """Give the directives of a block, those of included files in their place."""
    for one in block:
        if one.name != "include":
            yield one
            continue
        pattern = _absolute(one.arguments[0], directory)
        matches = re.compile(glob.translate(pattern)).match
        for path, content in files.items():
            if path == pattern or matches(path):
                yield from _with_includes(content, files, directory)


def _parse(text: str, file: str) -> list[_Directive]:
    blocks: list[list[_Directive]] = [[]]
    words: list[str] = []
    for part in _PART.findall(text):
        if part.startswith("#"):
            continue
        if part == "}":
            blocks = blocks[:-1] if len(blocks) > 1 else blocks
        elif part not in (";", "{"):
            words.append(part[1:-1] if part[0] in "\"'" else part)
        elif words:
            name, *arguments = words
            one = _Directive(name=name, arguments=tuple(arguments), file=file, block=[])
            blocks[-1].append(one)
            words = []
            if part == "{":
                blocks.append(one.block)
    return blocks[0]
