"""What an apply is about to do, on the disk before it is done, so that a crash can be undone.

    preparing ─► applying ─► testing ─► done ─► (no journal)
        │            │           │
        └────────────┴───────────┴──► (no journal): everything is as it was before

    preparing   nothing is changed yet; temporary files may lie in the tree
    applying    some paths are old, some new
    testing     all paths are new; nginx has not accepted them yet
    done        all paths are new and accepted; the head has to follow

The file has two lines of JSON: how far it is, with a hash of it all, and the difference, which
stays the same. One that is damaged is moved aside, to `journal.damaged`: as long as that is there,
what differs in the folders may be half of an apply.
"""

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from msgspec import convert, to_builtins

from sidecar.core.history.manifest import MAX_TEXT
from sidecar.core.history.snapshot import Entry
from sidecar.errors import SidecarError
from sidecar.host import files

FORMAT: Final = 1
"""Version of the journal; a newer one is refused."""


class State(StrEnum):
    """How far an apply is."""

    PREPARING = "preparing"
    APPLYING = "applying"
    TESTING = "testing"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What lies at the paths that change, before and after."""

    roots: tuple[str, ...]
    old: Mapping[str, Entry]
    new: Mapping[str, Entry]

    @property
    def reversed(self) -> "Difference":
        """The way back."""
        return Difference(roots=self.roots, old=self.new, new=self.old)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """An apply that is under way."""

    state: State
    before: str | None
    """Id of the snapshot that was live; None if there was none."""
    after: str
    """Id of the snapshot that is applied."""
    difference: Difference


class JournalFile:
    """The journal of a node, in a directory of the state volume."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "journal"
        self._damaged = directory / "journal.damaged"
        self._written: tuple[Difference, str] | None = None

    def write(self, journal: Journal) -> None:
        """Keep it, so that a power loss does not take it away; raise OSError if that fails."""
        if self._written is None or self._written[0] is not journal.difference:
            text = json.dumps(to_builtins(journal.difference), separators=(",", ":"))
            self._written = journal.difference, text
        head = {
            "format": FORMAT,
            "state": journal.state,
            "before": journal.before,
            "after": journal.after,
            "sum": _sum(journal.state, journal.before, journal.after, self._written[1].encode()),
        }
        text = f"{json.dumps(head)}\n{self._written[1]}\n"
        files.write(self._path, text, mode=0o600, durable=True)

    def read(self) -> Journal | None:
        """Return the journal of an apply that did not end; None if there is none.

        Raise SidecarError where it cannot be read; it is moved aside then if it is damaged.
        """
        try:
            return _decode(files.read(self._path, 2 * MAX_TEXT))
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise self.set_aside(str(error)) from error
        except OSError as error:
            if error.errno in _SHORT:
                raise SidecarError(f"cannot read {self._path}: {error.strerror}") from error
            raise self.set_aside(error.strerror or str(error)) from error

    def set_aside(self, why: str) -> SidecarError:
        """Move a damaged journal out of the way; return what to say."""
        try:
            files.move_aside(self._path, self._damaged)
        except OSError as error:
            why = f"{why}; nor can it be moved: {error.strerror}"
        return SidecarError(
            f"cannot read the journal of an interrupted apply: {why}",
            f"it is moved to {self._damaged}; compare the folders with `ha diff`",
        )

    @property
    def lost(self) -> bool:
        """What an interrupted apply left in the folders is not known."""
        return os.path.lexists(self._damaged)

    def forget_lost(self, aside: Path) -> None:
        """Move what is damaged out of sight, to `aside`: the folders are one state again."""
        if self.lost:
            files.move_aside(self._damaged, aside)

    def remove(self) -> None:
        """Forget it: the apply has ended, or never was."""
        files.remove(self._path, durable=True)


_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What this machine is short of: it says nothing about the file."""


def _decode(text: bytes) -> Journal:
    """Return the journal that a text holds; raise ValueError if it is damaged."""
    head, _, difference = text.partition(b"\n")
    body = json.loads(head)
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ValueError(f"it is not of format {FORMAT}")
    journal = convert({**body, "difference": json.loads(difference)}, Journal)
    found = _sum(journal.state, journal.before, journal.after, difference.removesuffix(b"\n"))
    if body.get("sum", found) != found:  # those of earlier releases have none
        raise ValueError("its content has another hash")
    return journal


def _sum(state: State, before: str | None, after: str, difference: bytes) -> str:
    return hashlib.sha256(f"{state} {before} {after} ".encode() + difference).hexdigest()
