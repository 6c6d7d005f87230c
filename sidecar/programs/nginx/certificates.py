"""How long the certificates of a configuration are valid.

Run as a program of its own: the library that reads certificates is large, and the daemon is not.
"""

import json
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.host.process import run_module

_SUFFIXES: Final = (".pem", ".crt")
_WITHIN: Final = 30.0
_MOST_BYTES: Final = 1024 * 1024


async def certificates(*places: Path) -> Mapping[str, float]:
    """Return notAfter (unix time) of each certificate file of `places`, by path.

    They are files, or directories below which every file with a usual name counts. In a file with a
    chain the first one counts, which is the server's own. What is no certificate or cannot be read
    is left out. Raise ProgramError if that cannot be found out.
    """
    answer = await run_module(__name__, *map(str, places), timeout=_WITHIN)
    ends: Mapping[str, float] = json.loads(answer)
    return ends


def ends(places: Iterable[Path]) -> Iterator[tuple[str, float]]:
    """Give the path and notAfter of each certificate file of `places`."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 # as said above

    for path in candidates(places):
        with suppress(OSError, ValueError):
            certificate = load_pem_x509_certificate(_content(path))
            yield str(path), certificate.not_valid_after_utc.timestamp()


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
    print(json.dumps(dict(ends(map(Path, sys.argv[1:])))))
