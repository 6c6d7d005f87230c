"""Snapshots: accepted states of the synced folders, as values.

A snapshot is a manifest: what lies at every path, and which snapshots it came from. Its id is the hash of its
canonical text, so a manifest proves itself, and two nodes that make the same one make the same id.
The contents of files are objects, named by their own hash; `sidecar.sync.store` keeps both.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sidecar.core.plain import from_plain, to_plain

FORMAT: Final = 1
"""Version of the manifest's text; a node refuses a newer one."""

MAX_PATHS: Final = 20_000
MAX_BYTES: Final = 512 * 1024 * 1024
"""What a set may hold, in paths and in bytes of all files."""


class Kind(StrEnum):
    """What lies at a path."""

    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What lies at one path: the fields that its kind has, the others at their defaults."""

    kind: Kind
    mode: int = 0
    """Permission bits of a file or a directory (0 to 0o7777); 0 for a link."""
    digest: str = ""
    """SHA-256 of a file's content, 64 hex digits."""
    size: int = 0
    """Bytes of a file."""
    target: str = ""
    """Where a link points, as written."""


Tree = Mapping[str, Entry]
"""Entries by absolute path. The roots (HA_SYNC_PATHS) themselves are not entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A manifest."""

    roots: tuple[str, ...]
    """HA_SYNC_PATHS of the node that made it, sorted."""
    tree: Mapping[str, Entry]
    parents: tuple[str, ...] = ()
    """Ids of the snapshots that it follows; none for the first, two or more for a merge. Sorted."""
    node: str = ""
    """Address of the node that made it; empty for a merge, which every node makes alike."""
    time: float = 0.0
    """Unix time in seconds; for a merge the newest of its parents'."""
    summary: str = ""
    """What changed, in words for `ha history`."""


def encode(snapshot: Snapshot) -> bytes:
    """Return the canonical text of a snapshot: the same value gives the same bytes everywhere."""
    body = {"format": FORMAT, **to_plain(snapshot)}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def identify(text: bytes) -> str:
    """Return the id of a manifest's text: its SHA-256 in hex."""
    return hashlib.sha256(text).hexdigest()


def decode(text: bytes) -> Snapshot:
    """Return the snapshot that a manifest's text describes; raise ValueError if it is none of ours.

    The text may come from another machine: kinds, modes, digests and paths are all checked.
    """
    body: Any = json.loads(text)
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise ValueError(f"not a manifest of format {FORMAT}")
    return from_plain(Snapshot, body)
