"""What is known of files without reading them: their digests, as long as they stay untouched.

A file of two lines: the SHA-256 of the second, which is JSON. Whatever is wrong with it (cut off,
of another version), all files are read again.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sidecar.core.snapshot import is_id
from sidecar.host import files
from sidecar.sync.live import Stamp

Cache = Mapping[str, tuple[Stamp, str]]
"""Stamp and digest of the file at each path."""

FORMAT: Final = 1

log = logging.getLogger("sync")


def load(path: Path) -> Cache:
    """Return the cache that `save` wrote; an empty one where it cannot be used."""
    try:
        proof, _, text = path.read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != proof:
            raise ValueError("it is damaged")
        return _read(json.loads(text))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.info("all files are read again: cannot use %s: %s", path, error)
        return {}


def save(path: Path, cache: Cache) -> None:
    """Write the cache; raise OSError where that cannot be done."""
    known = {name: [*stamp, digest] for name, (stamp, digest) in cache.items()}
    text = json.dumps({"format": FORMAT, "files": known}, separators=(",", ":")).encode()
    files.write(path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text, mode=0o600)


def _read(body: Any) -> Cache:  # noqa: ANN401 - JSON has no narrower type
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    try:
        return {name: _record(*fields) for name, fields in body["files"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not the fields of a cache") from error


def _record(
    device: int, inode: int, ctime: int, size: int, mtime: int, digest: str
) -> tuple[Stamp, str]:
    if not is_id(digest):
        raise ValueError(f"{digest!r} is not a digest")
    return (device, inode, ctime, size, mtime), digest
