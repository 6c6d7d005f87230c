"""How long the certificates of a configuration are valid, and for which hosts.

Run as a program of its own: the library that reads certificates is large, and the daemon is not.
"""

import json
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import convert, to_builtins

from sidecar.core.report import Validity
from sidecar.host.process import run_module

_SUFFIXES: Final = (".pem", ".crt")
_WITHIN: Final = 30.0
_MOST_BYTES: Final = 1024 * 1024


async def certificates(*places: Path) -> Mapping[str, Validity]:
    """Return when each certificate file of `places` is valid and for whom, by path.

    They are files, or directories below which every file with a usual name counts. In a file with a
    chain the first one counts, which is the server's own. What is no certificate or cannot be read
    is left out. Raise ProgramError if that cannot be found out.
    """
    answer = await run_module(__name__, *map(str, places), timeout=_WITHIN)
    return convert(json.loads(answer), dict[str, Validity])


def validities(places: Iterable[Path]) -> Iterator[tuple[str, Validity]]:
    """Give the path of each certificate file of `places`, and when it is valid."""
    from cryptography import x509  # noqa: PLC0415 # as said above

    for path in candidates(places):
        with suppress(OSError, ValueError):
            certificate = x509.load_pem_x509_certificate(_content(path))
            hosts: list[str] = []
            with suppress(x509.ExtensionNotFound):
                found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
                hosts = found.value.get_values_for_type(x509.DNSName)
            yield (
                str(path),
                Validity(
                    not_before=certificate.not_valid_before_utc.timestamp(),
                    not_after=certificate.not_valid_after_utc.timestamp(),
                    hosts=tuple(host.lower() for host in hosts),
                ),
            )


def candidates(places: Iterable[Path]) -> Iterator[Path]:
    """Give the files of `places` that may be certificates. Blocks."""
    for place in places:
        if not place.is_dir():
            yield place
        for directory, _, names in place.walk():
            yield from (directory / name for name in sorted(names) if name.endswith(_SUFFIXES))


def _content(path: Path) -> bytes:
    """Return what a file holds; raise ValueError if it leads to a device or is too large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        raise ValueError
    return path.read_bytes()


if __name__ == "__main__":
    print(json.dumps(to_builtins(dict(validities(map(Path, sys.argv[1:]))))))
