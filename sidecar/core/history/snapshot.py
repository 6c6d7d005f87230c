"""Snapshots: accepted states of the synced folders, as values.

A snapshot says what lies at every path, and which snapshots it came from;
`sidecar.core.history.manifest` is its text. The contents of files are objects, named by their own
hash; `sidecar.sync.store` keeps both.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from sidecar.core.digest import is_id

MAX_PATHS: Final = 20_000
MAX_BYTES: Final = 512 * 1024 * 1024
"""What a set may hold, in paths and in bytes of all files."""

MAX_MODE: Final = 0o777
"""No setuid, setgid or sticky bit travels: a scan masks them, a manifest with one is refused."""

_MAX_PATH: Final = 4096
_MAX_NODE: Final = 64
_MAX_SUMMARY: Final = 1000
_LAST_TIME: Final = 253_402_300_799.0  # the end of the year 9999
_NO_NAMES: Final = frozenset({"", ".", ".."})


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
    """Permission bits of a file or a directory (0 to 0o777); 0 for a link."""
    digest: str = ""
    """SHA-256 of a file's content, 64 hex digits."""
    size: int = 0
    """Bytes of a file."""
    target: str = ""
    """Where a link points, as written: it may lead out of the tree, since nobody follows it."""


Tree = Mapping[str, Entry]
"""Entries by absolute path. The roots (HA_SYNC_PATHS) themselves are not entries.

Names that are not UTF-8 are as `os.fsdecode` reads them (surrogateescape).
"""

Version = tuple[str, Entry]
"""What lies at a path in some tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A manifest without its tree: all that the graph and `ha history` need."""

    roots: tuple[str, ...]
    """HA_SYNC_PATHS of the node that made it, sorted."""
    tree: str
    """Fingerprint of the tree."""
    parents: tuple[str, ...] = ()
    node: str = ""
    time: float = 0.0
    summary: str = ""


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
    """What changed, in words for `ha history`: printable, at most 1,000 characters."""


def check_header(header: Header) -> None:
    """Raise ValueError where a header is one that other nodes would refuse."""
    _check_roots(header.roots)
    if not is_id(header.tree):
        raise ValueError("the tree's hash is not 64 hex digits")
    if not all(map(is_id, header.parents)) or not _ascending(header.parents):
        raise ValueError("the parents are not sorted ids")
    if not math.isfinite(header.time) or not 0 <= header.time <= _LAST_TIME:
        raise ValueError(f"the time {header.time} is out of range")
    if len(header.node) > _MAX_NODE or not header.node.isprintable():
        raise ValueError("the node is not a name")
    if len(header.summary) > _MAX_SUMMARY or not header.summary.isprintable():
        raise ValueError(f"the summary is not one line of at most {_MAX_SUMMARY} characters")


def _check_roots(roots: tuple[str, ...]) -> None:
    if not roots or not _ascending(roots):
        raise ValueError("the roots are not a sorted list")
    known = frozenset(roots)
    for root in roots:
        _check_root(root)
        if any(parent in known for parent in parents_of(root)):
            raise ValueError(f"the root {root!r} lies below another one")


def check_tree(tree: Tree, roots: tuple[str, ...]) -> None:
    """Raise ValueError where a tree is one that other nodes would refuse."""
    if len(tree) > MAX_PATHS:
        raise ValueError(f"{len(tree)} paths, at most {MAX_PATHS} are allowed")
    places = {*roots, *(path for path, entry in tree.items() if entry.kind is Kind.DIRECTORY)}
    sizes: dict[str, int] = {}
    for path, entry in tree.items():
        directory, _, name = path.rpartition("/")
        if directory not in places:
            raise ValueError(f"{path!r} does not lie in a directory of the set")
        if name in _NO_NAMES or not _is_file_name(path):
            raise ValueError(f"{path!r} cannot be the name of a file")
        _check_entry(path, entry)
        if entry.kind is Kind.FILE and sizes.setdefault(entry.digest, entry.size) != entry.size:
            raise ValueError(f"{path!r} has the content of another file, but not its size")
    total = sum(entry.size for entry in tree.values())
    if total > MAX_BYTES:
        raise ValueError(f"{total} bytes in all files, at most {MAX_BYTES} are allowed")


def _check_root(root: str) -> None:
    """Raise ValueError unless `root` is absolute, normalised, below `/`, and can lie on a disk."""
    parts = root.split("/")
    if parts[0] or len(parts) < 2 or not _NO_NAMES.isdisjoint(parts[1:]):
        raise ValueError(f"{root!r} is not an absolute, normalised path")
    if not _is_file_name(root):
        raise ValueError(f"{root!r} cannot be the name of a file")


def _check_entry(path: str, entry: Entry) -> None:
    if type(entry.mode) is not int or not 0 <= entry.mode <= MAX_MODE:
        raise ValueError(f"{path!r} has the mode {entry.mode!r}")
    if entry.kind is Kind.FILE:
        if type(entry.digest) is not str or not is_id(entry.digest):
            raise ValueError(f"{path!r} has no digest of 64 hex digits")
        if type(entry.size) is not int or entry.size < 0:
            raise ValueError(f"{path!r} has the size {entry.size!r}")
    elif entry.digest or entry.size:
        raise ValueError(f"{path!r} has the content of a file but is not one")
    if entry.kind is Kind.LINK:
        if type(entry.target) is not str or not entry.target or not _is_file_name(entry.target):
            raise ValueError(f"{path!r} has no target that a link can have")
        if entry.mode:
            raise ValueError(f"{path!r} is a link and has a mode")
    elif entry.target:
        raise ValueError(f"{path!r} has a target but is not a link")


def _is_file_name(name: str) -> bool:
    """Tell whether `name` is what `os.fsdecode` makes of some bytes, without NUL, not too long.

    Surrogates that stand for valid UTF-8 are not: two different strings would name one file.
    """
    if name.isascii():
        return "\0" not in name and len(name) <= _MAX_PATH
    try:
        data = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    same = data.decode("utf-8", "surrogateescape") == name
    return same and b"\0" not in data and len(data) <= _MAX_PATH


def parents_of(path: str) -> Iterator[str]:
    """Return the directories that a path lies in, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path


def _ascending(items: tuple[str, ...]) -> bool:
    return all(first < second for first, second in pairwise(items))
