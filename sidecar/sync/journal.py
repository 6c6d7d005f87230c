"""What an apply is about to do, on the disk before it is done, so that a crash can be undone.

    preparing ─► applying ─► testing ─► done ─► (no journal)
        │            │           │
        └────────────┴───────────┴──► (no journal): everything is as it was before

    preparing   nothing is changed yet; temporary files may lie in the tree
    applying    some paths are old, some new
    testing     all paths are new; nginx has not accepted them yet
    done        all paths are new and accepted; the head has to follow

The file has two lines of JSON: how far it is, and the difference, which stays the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sidecar.core.plain import from_plain, to_plain
from sidecar.core.snapshot import Entry
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
        self._written: tuple[Difference, str] | None = None

    def write(self, journal: Journal) -> None:
        """Keep it, so that a power loss does not take it away; raise OSError if that fails."""
        if self._written is None or self._written[0] is not journal.difference:
            text = json.dumps(to_plain(journal.difference), separators=(",", ":"))
            self._written = journal.difference, text
        head = {
            "format": FORMAT,
            "state": journal.state,
            "before": journal.before,
            "after": journal.after,
        }
        text = f"{json.dumps(head)}\n{self._written[1]}\n"
        files.write(self._path, text, mode=0o600, durable=True)

    def read(self) -> Journal | None:
        """Return the journal of an apply that did not end; None if there is none."""
        try:
            head, _, difference = self._path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        try:
            body = json.loads(head)
            if not isinstance(body, dict) or body.get("format") != FORMAT:
                raise ValueError(f"it is not of format {FORMAT}")
            return from_plain(Journal, {**body, "difference": json.loads(difference)})
        except ValueError as error:
            aside = self._path.replace(self._path.with_name("journal.damaged"))
            raise SidecarError(
                f"cannot read the journal of an interrupted apply: {error}",
                f"it was moved to {aside}; compare the folders with `ha diff`",
            ) from error

    def remove(self) -> None:
        """Forget it: the apply has ended, or never was."""
        files.remove(self._path, durable=True)
