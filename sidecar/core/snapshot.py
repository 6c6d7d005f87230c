"""Snapshots: accepted states of the synced folders, as values.

A snapshot is a manifest: what lies at every path, and which snapshots it came from. Its text has
two lines, a header that holds the hash of the tree, and the tree:

    {"format":1,"node":"192.0.2.11","parents":[…],"roots":["/etc/nginx"],…,"tree":"<sha256>"}
    {"/etc/nginx/nginx.conf":{"digest":"<sha256>","kind":"file","mode":420,"size":612},…}

The id is the hash of the header, so a manifest proves itself, two nodes that make the same one make
the same id, and a header alone still proves whose descendant it is. A header is what is left of old
snapshots: the graph is not forgotten with the trees, and a node that was away for long still finds
its own head among the ancestors of its peers'.
The contents of files are objects, named by their own hash; `sidecar.sync.store` keeps both.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final, NoReturn

from sidecar.core.plain import from_plain

FORMAT: Final = 1
"""Version of the manifest's text; a node refuses a newer one."""

MAX_PATHS: Final = 20_000
MAX_BYTES: Final = 512 * 1024 * 1024
"""What a set may hold, in paths and in bytes of all files."""

MAX_MODE: Final = 0o777
"""No setuid, setgid or sticky bit travels: a scan masks them, a manifest with one is refused."""

MAX_TEXT: Final = 8 * 1024 * 1024
"""Bytes of a manifest's text; 20,000 usual paths need 3 MiB."""

MAX_HEADER: Final = 64 * 1024
"""Bytes of its first line."""

_MAX_PATH: Final = 4096
_MAX_NODE: Final = 64
_MAX_SUMMARY: Final = 1000
_LAST_TIME: Final = 253_402_300_799.0  # the end of the year 9999
_NO_NAMES: Final = frozenset({"", ".", ".."})
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

_NUMBER: Final = "0|[1-9][0-9]{0,14}"
_STRING: Final = r'"[ !#-\[\]-~]*+(?:\\(?:["\\bfnrt]|u[0-9a-f]{4})[ !#-\[\]-~]*+)*+"'
_ENTRY: Final = re.compile(
    rf"(?P<path>{_STRING}):\{{(?:"
    r'"digest":"(?P<digest>[0-9a-f]{64})","kind":"file",'
    rf'"mode":(?P<mode>{_NUMBER}),"size":(?P<size>{_NUMBER})'
    rf'|"kind":"directory","mode":(?P<directory>{_NUMBER})'
    rf'|"kind":"link","target":(?P<target>{_STRING})'
    r")\}"
)
"""One entry of a tree, in canonical form."""


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


def encode(snapshot: Snapshot) -> bytes:
    """Return the canonical text of a snapshot: the same value gives the same bytes everywhere."""
    tree = _encode_tree(snapshot.tree)
    header = Header(
        roots=snapshot.roots,
        tree=identify(tree),
        parents=snapshot.parents,
        node=snapshot.node,
        time=snapshot.time,
        summary=snapshot.summary,
    )
    return _encode_header(header) + b"\n" + tree + b"\n"


def identify(text: bytes) -> str:
    """Return the id of a manifest's text, or of its header alone: the header's SHA-256 in hex."""
    return hashlib.sha256(text.partition(b"\n")[0]).hexdigest()


def fingerprint(tree: Tree) -> str:
    """Return the hash of a tree, equal only for equal trees."""
    return identify(_encode_tree(tree))


def without_tree(text: bytes) -> bytes:
    """Return what is left of a manifest's text when its tree is no longer kept."""
    return text.partition(b"\n")[0] + b"\n"


def has_tree(text: bytes) -> bool:
    """Tell whether a manifest's text is whole."""
    return bool(text.partition(b"\n")[2])


def is_id(name: str) -> bool:
    """Tell whether `name` can name a snapshot or an object: 64 lower hex digits."""
    return _DIGEST.fullmatch(name) is not None


def decode_header(text: bytes) -> Header:
    """Return the header of a manifest's text, whole or pruned; raise ValueError if it is none.

    Of the tree, if there is one, only the hash is checked.
    """
    if len(text) > MAX_TEXT:
        raise ValueError(f"the manifest has {len(text)} bytes, at most {MAX_TEXT} are allowed")
    line, end, rest = text.partition(b"\n")
    if len(line) > MAX_HEADER:
        raise ValueError(f"the header has {len(line)} bytes, at most {MAX_HEADER} are allowed")
    body = _parse(line)
    found = body.pop("format", None)
    if type(found) is not int or found < FORMAT:
        raise ValueError(f"not a manifest of format {FORMAT}")
    if found > FORMAT:
        raise ValueError(f"the manifest has format {found}, this version knows up to {FORMAT}")
    header = from_plain(Header, body)
    _check_header(header)
    if end != b"\n" or _encode_header(header) != line:
        raise ValueError("the header is not in canonical form")
    if rest and identify(rest) != header.tree:
        raise ValueError("the tree does not match its hash")
    return header


def decode(text: bytes) -> Snapshot:
    """Return the snapshot that a manifest's text describes; raise ValueError if it is none of ours.

    The text may come from another machine, so everything in it is checked, and only the canonical
    text of a snapshot is taken: one snapshot has one id. A link may point anywhere (that is what
    was on the disk); whoever uses the tree must never follow one.
    """
    header = decode_header(text)
    rest = text.partition(b"\n")[2]
    if not rest:
        raise ValueError("the tree is no longer kept")
    snapshot = Snapshot(
        roots=header.roots,
        tree=_decode_tree(rest.decode("ascii")),
        parents=header.parents,
        node=header.node,
        time=header.time,
        summary=header.summary,
    )
    _check_tree(snapshot.tree, snapshot.roots)
    return snapshot


def check(snapshot: Snapshot) -> None:
    """Raise ValueError where a snapshot is one that other nodes would refuse."""
    _check_header(
        Header(
            roots=snapshot.roots,
            tree="0" * 64,
            parents=snapshot.parents,
            node=snapshot.node,
            time=snapshot.time,
            summary=snapshot.summary,
        )
    )
    _check_tree(snapshot.tree, snapshot.roots)
    if (length := len(encode(snapshot))) > MAX_TEXT:
        raise ValueError(f"its list of names has {length} bytes, at most {MAX_TEXT} are allowed")


def _encode_header(header: Header) -> bytes:
    return _canonical(
        {
            "format": FORMAT,
            "node": header.node,
            "parents": header.parents,
            "roots": header.roots,
            "summary": header.summary,
            "time": float(header.time),  # 1 and 1.0 are one value, and have one text
            "tree": header.tree,
        }
    )


def _encode_tree(tree: Tree) -> bytes:
    """Return what `_canonical` would, of entries as objects; four times as fast."""
    lines = (f"{_quoted(path)}:{_text(entry)}" for path, entry in sorted(tree.items()))
    return f"{{{','.join(lines)}}}".encode()


def _text(entry: Entry) -> str:
    if entry.kind is Kind.LINK:
        return f'{{"kind":"link","target":{_quoted(entry.target)}}}'
    if entry.kind is Kind.DIRECTORY:
        return f'{{"kind":"directory","mode":{entry.mode}}}'
    return f'{{"digest":"{entry.digest}","kind":"file","mode":{entry.mode},"size":{entry.size}}}'


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _parse(line: bytes) -> dict[str, Any]:
    try:
        body = json.loads(line.decode("ascii"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("not a manifest: nested too deep") from None
    if type(body) is not dict:
        raise ValueError("not a manifest: not a JSON object")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _decode_tree(text: str) -> dict[str, Entry]:
    """Return the entries of a tree's text, which ends with a newline.

    No more is read than a set may hold, and only the canonical form is understood: what another
    machine sends costs no more than what it may send.
    """
    tree: dict[str, Entry] = {}
    before, position = "", 1
    if text == "{}\n":
        return tree
    while match := _ENTRY.match(text, position):
        path = _unquoted(match["path"])
        if tree and path <= before:
            raise ValueError("the paths are not sorted")
        if len(tree) == MAX_PATHS:
            raise ValueError(f"more than {MAX_PATHS} paths")
        tree[path] = _entry(match)
        before, position = path, match.end() + 1
        if text[position - 1 : position] != ",":
            break
    if text[:1] != "{" or text[position - 1 :] != "}\n":
        raise ValueError(f"the tree is not in canonical form after {len(tree)} paths")
    return tree


def _entry(match: re.Match[str]) -> Entry:
    if match["digest"] is not None:
        mode, size = int(match["mode"]), int(match["size"])
        return Entry(kind=Kind.FILE, mode=mode, digest=match["digest"], size=size)
    if match["target"] is not None:
        return Entry(kind=Kind.LINK, target=_unquoted(match["target"]))
    return Entry(kind=Kind.DIRECTORY, mode=int(match["directory"]))


def _unquoted(quoted: str) -> str:
    if "\\" not in quoted:
        return quoted[1:-1]
    text = json.loads(quoted)
    if _quoted(text) != quoted:
        raise ValueError(f"{quoted} is not in canonical form")
    return str(text)


def _check_header(header: Header) -> None:
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
        if any(parent in known for parent in _parents(root)):
            raise ValueError(f"the root {root!r} lies below another one")


def _check_tree(tree: Tree, roots: tuple[str, ...]) -> None:
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


def _parents(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _ascending(items: tuple[str, ...]) -> bool:
    return all(first < second for first, second in pairwise(items))
