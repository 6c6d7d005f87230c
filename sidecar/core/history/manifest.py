"""Manifests: snapshots as text, of which the same value has the same bytes everywhere.

The text has two lines, a header that holds the hash of the tree, and the tree:

    {"format":1,"node":"192.0.2.11","parents":[…],"roots":["/etc/nginx"],…,"tree":"<sha256>"}
    {"/etc/nginx/nginx.conf":{"digest":"<sha256>","kind":"file","mode":420,"size":612},…}

The id is the hash of the header, so a manifest proves itself, two nodes that make the same one make
the same id, and a header alone still proves whose descendant it is. A header is what is left of old
snapshots: the graph is not forgotten with the trees, and a node that was away for long still finds
its own head among the ancestors of its peers'.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final, NoReturn

from msgspec import convert

from sidecar.core.history.snapshot import (
    MAX_PATHS,
    Entry,
    Header,
    Kind,
    Snapshot,
    Tree,
    Version,
    check_header,
    check_tree,
)

FORMAT: Final = 1
"""Version of the manifest's text; a node refuses a newer one."""

MAX_TEXT: Final = 8 * 1024 * 1024
"""Bytes of a manifest's text; 20,000 usual paths need 3 MiB."""

MAX_HEADER: Final = 64 * 1024
"""Bytes of its first line."""

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
    header = convert(body, Header)
    check_header(header)
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
    check_tree(snapshot.tree, snapshot.roots)
    return snapshot


def having(text: bytes, versions: Iterable[Version]) -> frozenset[Version]:
    """Return which versions a manifest's text has, one that `decode` would take.

    It takes a tenth of the time, as no entry is read. What separates them stands nowhere else:
    paths are absolute, and a quotation mark in a string has a backslash before it.
    """
    entries = frozenset(text.partition(b"\n")[2][len('{"/') : -len("}}\n")].split(b'},"/'))
    return frozenset(
        (path, entry)
        for path, entry in versions
        if f"{_quoted(path)}:{_text(entry)}"[len('"/') : -len("}")].encode() in entries
    )


def check(snapshot: Snapshot) -> None:
    """Raise ValueError where a snapshot is one that other nodes would refuse."""
    check_header(
        Header(
            roots=snapshot.roots,
            tree="0" * 64,
            parents=snapshot.parents,
            node=snapshot.node,
            time=snapshot.time,
            summary=snapshot.summary,
        )
    )
    check_tree(snapshot.tree, snapshot.roots)
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
