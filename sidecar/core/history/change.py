"""What differs between two trees, and how it is told."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sidecar.core.history.snapshot import Entry, Kind, Tree
from sidecar.core.secret import mask, secret_file

MAX_DIFF: Final = 64 * 1024
"""Bytes of a file that is still shown line by line."""

_MAX_NAME: Final = 120


class ChangeKind(StrEnum):
    """What happened to a path; the value is the word for it."""

    EDITED = "edited"
    ADDED = "added"
    DELETED = "deleted"
    RENAMED = "renamed"
    MODE = "mode"
    """Only the permissions of a file or a directory differ."""
    TURNED = "turned"
    """A link points elsewhere."""
    SWAPPED = "swapped"
    """Another kind of thing lies there, e.g. a directory where a file was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happened to one path."""

    kind: ChangeKind
    path: str
    old: Entry | None = None
    """What lay there before; of a renamed file, at `source`."""
    new: Entry | None = None
    """What lies there now; None where it was deleted."""
    source: str = ""
    """Where a renamed file was."""


def changes(old: Tree, new: Tree) -> tuple[Change, ...]:
    """Return what turns `old` into `new`, by path.

    A file that is gone here and new there with the same content was renamed; empty files were not,
    they all look the same.
    """
    result = {path: _changed(path, old.get(path), new.get(path)) for path in different(old, new)}
    for source, target in _renames(result):
        renamed = ChangeKind.RENAMED
        result[target] = Change(
            kind=renamed, path=target, old=old[source], new=new[target], source=source
        )
        del result[source]
    return tuple(result[path] for path in sorted(result))


def different(old: Tree, new: Tree) -> set[str]:
    """Return the paths at which two trees differ; fast where they share their entries."""
    before = old.get
    here = {path for path, one in new.items() if (was := before(path)) is not one and was != one}
    return here | (old.keys() - new.keys())


def _changed(path: str, old: Entry | None, new: Entry | None) -> Change:
    if old is None:
        kind = ChangeKind.ADDED
    elif new is None:
        kind = ChangeKind.DELETED
    elif old.kind is not new.kind:
        kind = ChangeKind.SWAPPED
    elif new.kind is Kind.LINK:
        kind = ChangeKind.TURNED
    elif old.digest == new.digest:
        kind = ChangeKind.MODE
    else:
        kind = ChangeKind.EDITED
    return Change(kind=kind, path=path, old=old, new=new)


def _renames(found: dict[str, Change]) -> list[tuple[str, str]]:
    gone, come = _files(found, ChangeKind.DELETED), _files(found, ChangeKind.ADDED)
    pairs = (zip(gone[one], come[one], strict=False) for one in sorted(gone.keys() & come.keys()))
    return [pair for several in pairs for pair in several]


def _files(found: dict[str, Change], kind: ChangeKind) -> dict[str, list[str]]:
    """Return the paths of the files that are not empty and had that change, by digest."""
    result = defaultdict(list)
    for path in sorted(found):
        entry = found[path].new or found[path].old
        if found[path].kind is kind and entry is not None and entry.size:
            result[entry.digest].append(path)
    return result


def summarise(found: Sequence[Change], roots: Sequence[str]) -> str:
    """Return one line such as "edited conf.d/a.conf, added 3, deleted 1".

    Something that happened to a single path is told with its name. A directory counts only where
    nothing below it changed.
    """
    words = []
    counted = list(_without_parents(found))
    for kind in ChangeKind:
        paths = [change.path for change in counted if change.kind is kind]
        if len(paths) == 1:
            words.append(f"{_VERBS[kind]} {_shorten(name(paths[0], roots))}")
        elif paths:
            words.append(f"{_VERBS[kind]} {len(paths)}")
    return ", ".join(words) or "nothing"


_VERBS: Final = {kind: kind.value for kind in ChangeKind} | {
    ChangeKind.MODE: "changed the mode of",
    ChangeKind.TURNED: "turned the link",
}


def _without_parents(found: Sequence[Change]) -> Iterator[Change]:
    parents = {change.path.rpartition("/")[0] for change in found}
    for change in found:
        entry = change.new or change.old
        directory = entry is not None and entry.kind is Kind.DIRECTORY
        if not (directory and change.path in parents):
            yield change


def describe(found: Iterable[Change], roots: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each change, for `ha diff` and `ha sync --dry-run`."""
    return tuple(f"{change.kind:8} {_details(change, roots)}".rstrip() for change in found)


def _details(change: Change, roots: Sequence[str]) -> str:
    here = name(change.path, roots)
    match change:
        case Change(kind=ChangeKind.RENAMED):
            return f"{name(change.source, roots)} -> {here}"
        case Change(kind=ChangeKind.MODE, old=Entry(mode=before), new=Entry(mode=after)):
            return f"{here}: {before:04o} -> {after:04o}"
        case Change(kind=ChangeKind.TURNED, old=Entry(target=before), new=Entry(target=after)):
            return f"{here}: {printable(before)} -> {printable(after)}"
        case Change(kind=ChangeKind.SWAPPED, old=Entry(kind=before), new=Entry(kind=after)):
            return f"{here}: {before} -> {after}"
        case Change(new=Entry(kind=Kind.LINK, target=target)):
            return f"{here} -> {printable(target)}"
        case Change(old=Entry(kind=Kind.DIRECTORY)) | Change(new=Entry(kind=Kind.DIRECTORY)):
            return f"{here}/"
        case _:
            return here


def compare(path: str, old: bytes, new: bytes, roots: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the lines of a unified diff of two contents, fit for a terminal.

    Nothing secret is shown; what is secret as a whole, binary or large is told in a line.
    """
    title = name(path, roots)
    if old == new:
        return ()
    sizes = f"{len(old)} -> {len(new)} bytes"
    if why := secret_file(path, old, new):
        return (f"{title}: not shown: secret ({why}), {sizes}",)
    if max(len(old), len(new)) > MAX_DIFF:
        return (too_large(title, len(old), len(new)),)
    try:
        before, after = (_lines(content) for content in (old, new))
    except ValueError:
        return (f"{title}: {sizes}, not text",)
    lines = difflib.unified_diff(before, after, f"a/{title}", f"b/{title}", lineterm="")
    return tuple("\t".join(map(printable, mask(line).split("\t"))) for line in lines)


def too_large(title: str, old: int, new: int) -> str:
    """Return the line that stands for the diff of two contents with so many bytes."""
    return f"{printable(title)}: {old} -> {new} bytes, too large to show"


def _lines(content: bytes) -> list[str]:
    if b"\0" in content:
        raise ValueError("not text")
    lines = content.decode().split("\n")
    if lines[-1] == "":
        return lines[:-1]
    return [*lines[:-1], f"{lines[-1]} (no newline at the end)"]


def name(path: str, roots: Sequence[str]) -> str:
    """Return how a path is called in lines for people: from its root if there is only one."""
    return printable(path.removeprefix(f"{roots[0]}/") if len(roots) == 1 else path)


def printable(text: str) -> str:
    """Return `text` so that it can stand in a line: what does not print is escaped."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in readable
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _MAX_NAME else f"…{text[1 - _MAX_NAME :]}"
