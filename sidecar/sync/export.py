"""Writes a snapshot into a directory of its own, to look at it or to copy it elsewhere."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from sidecar.core.history.change import printable
from sidecar.core.history.snapshot import Entry, Kind, Snapshot, Tree
from sidecar.errors import RefusedError, SidecarError
from sidecar.sync.store import History

_CHUNK: Final = 1024 * 1024
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def export(history: History, snapshot: Snapshot, directory: Path, roots: Sequence[str]) -> int:
    """Write the files of a snapshot below a new or empty directory; return how many there are.

    Every content is verified. Paths begin at the root of the set if it has only one, else at `/`.
    Raise RefusedError if the directory holds something, or lies below one of the synced `roots`.
    """
    _check_place(directory, roots)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(history, snapshot, directory)
    except OSError as error:
        raise SidecarError(
            f"cannot export to {directory}: {error.strerror}: {printable(str(error.filename))}",
            "make room there, or name another directory; what is there now is not complete",
        ) from error
    return sum(entry.kind is Kind.FILE for entry in snapshot.tree.values())


def _check_place(directory: Path, roots: Sequence[str]) -> None:
    place = directory.resolve()
    for root in map(Path, roots):
        if place.is_relative_to(root.resolve()):
            raise RefusedError(
                f"cannot export to {directory}: {root} is synced, all nodes would get it",
                "name a directory elsewhere, such as one below /var/lib/ha or /tmp",
            )
    try:
        used = directory.exists() and any(directory.iterdir())
    except NotADirectoryError:
        used = True
    if used:
        raise RefusedError(
            f"cannot export to {directory}: something is there", "name a new or empty directory"
        )


def _write(history: History, snapshot: Snapshot, directory: Path) -> None:
    top = snapshot.roots[0] if len(snapshot.roots) == 1 else ""
    tree: Tree = {path.removeprefix(f"{top}/"): entry for path, entry in snapshot.tree.items()}
    for path, entry in sorted(tree.items()):  # a directory comes before what lies in it
        target = directory / path.lstrip("/")
        match entry.kind:
            case Kind.DIRECTORY:
                target.mkdir(mode=0o700, parents=True)
            case Kind.LINK:
                target.symlink_to(entry.target)
            case Kind.FILE:
                _write_file(history, entry, target)
    for path, entry in sorted(tree.items(), reverse=True):  # and may then be closed
        if entry.kind is Kind.DIRECTORY:
            (directory / path.lstrip("/")).chmod(entry.mode)


def _new(target: Path) -> BinaryIO:
    return os.fdopen(os.open(target, _NEW, 0o600), "wb")


def _write_file(history: History, entry: Entry, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    content = hashlib.sha256()
    with history.open(entry.digest) as source, _new(target) as copy:
        while chunk := source.read(_CHUNK):
            content.update(chunk)
            copy.write(chunk)
        os.fchmod(copy.fileno(), entry.mode)
    if content.hexdigest() != entry.digest:
        history.verify(entry.digest)
        raise RefusedError(
            f"cannot export {printable(str(target))}: its content in the history is damaged",
            "it is fetched again from the peers, where they have it",
        )
