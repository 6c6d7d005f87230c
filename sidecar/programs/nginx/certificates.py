"""How long the certificates of a configuration are valid.

Run as a program of its own: the library that reads certificates is large, and the daemon is not.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.host.process import run_module

_SUFFIXES: Final = (".pem", ".crt")
_WITHIN: Final = 30.0


async def certificates(root: Path) -> Mapping[str, float]:
    """Return notAfter (unix time) of each certificate file below `root`, by path.

    In a file with a chain the first one counts, which is the server's own. What is no certificate
    or cannot be read is left out. Raise ProgramError if that cannot be found out.
    """
    answer = await run_module(__name__, str(root), timeout=_WITHIN)
    ends: Mapping[str, float] = json.loads(answer)
    return ends


def ends(root: Path) -> Iterator[tuple[str, float]]:
    """Give the path and notAfter of each certificate file below `root`."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 # as said above

    for directory, _, names in root.walk():
        for name in sorted(names):
            if name.endswith(_SUFFIXES):
                with suppress(OSError, ValueError):
                    path = directory / name
                    certificate = load_pem_x509_certificate(path.read_bytes())
                    yield str(path), certificate.not_valid_after_utc.timestamp()


if __name__ == "__main__":
    print(json.dumps(dict(ends(Path(sys.argv[1])))))
