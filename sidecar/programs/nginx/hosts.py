"""Which certificate a host gets: the folder that it asks for, its own, or a wildcard's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sidecar.core.report import Validity

_CHAIN: Final = "fullchain.pem"
_KEY: Final = "privkey.pem"


def by_host(root: Path, wanted: Mapping[str, str], known: Mapping[str, Validity]) -> dict[str, str]:
    """Return the directory of each host's certificate, if it has one.

    Given: nginx's folder, the name of a folder in certs/ for each host (empty: nobody asks for
    one), and what is known of certificates by path. Blocks.
    """
    found = {}
    for host, name in wanted.items():
        for directory in _candidates(root / "certs", host, name, known):
            if (directory / _CHAIN).is_file() and (directory / _KEY).is_file():
                found[host] = str(directory)
                break
    return found


def _candidates(certs: Path, host: str, name: str, known: Mapping[str, Validity]) -> list[Path]:
    """Return where to look; the folder of the parent's name counts if it is for the host too."""
    if name:
        return [certs / name]
    places = [certs / host]
    _, _, parent = host.partition(".")
    if parent:
        wildcard = f"*.{parent}"
        places.append(certs / wildcard)
        one = known.get(str(certs / parent / _CHAIN))
        if one is not None and {host, wildcard} & set(one.hosts):
            places.append(certs / parent)
    return places
