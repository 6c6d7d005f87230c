"""Performs the steps from one tree to another, each so that it is done or is not.

A new content is written to a temporary file first and then changes places with the old one, in one
rename; so the temporary file then holds what was there, and the way back is the same rename. What
was displaced is looked at before it counts: if it is not what it should be, a person was quicker,
and it goes back.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from sidecar.core.history.exclude import TEMPORARY
from sidecar.core.history.snapshot import Entry, Kind
from sidecar.core.history.steps import Action, Step, anchor, plan
from sidecar.errors import SidecarError
from sidecar.host.rename import Place
from sidecar.sync.journal import Difference
from sidecar.sync.live import DIRECTORY, Live, remove

_CHUNK: Final = 1024 * 1024
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Objects(Protocol):
    """Contents of files by their SHA-256, as `sidecar.sync.store` keeps them."""

    def put(self, source: Path) -> str:
        """Keep a copy of a file and return its digest."""

    def has(self, digest: str) -> bool:
        """Tell whether an object is here."""

    def verify(self, digest: str) -> bool:
        """Tell whether an object is undamaged; set a damaged one aside."""

    def open(self, digest: str) -> BinaryIO:
        """Open an object for reading."""


class Outcome(Enum):
    """What became of a step."""

    DONE = auto()
    MOVED = auto()
    """Something else lies there than was said; nothing was changed."""
    KEPT = auto()
    """A directory stays, since it holds what is not synced."""


class Mover:
    """Moves the live tree along a difference."""

    def __init__(self, difference: Difference, objects: Objects, live: Live) -> None:
        self._difference, self._objects, self._live = difference, objects, live
        self.steps = plan(difference.old, difference.new)

    def keep(self, step: Step) -> Outcome:
        """Make sure that what a step displaces is an object."""
        if self._live.look(step.path) != step.before:
            return Outcome.MOVED
        if step.before is None or step.before.kind is not Kind.FILE:
            return Outcome.DONE
        digest = step.before.digest
        if not self._objects.has(digest) and self._objects.put(Path(step.path)) != digest:
            return Outcome.MOVED
        return Outcome.DONE

    def check(self, step: Step) -> None:
        """Raise SidecarError where a directory cannot give way to something else."""
        if step.after is None or step.after.kind is Kind.DIRECTORY:
            return
        if step.before is None or step.before.kind is not Kind.DIRECTORY:
            return
        for name in self._live.names(step.path):
            if f"{step.path}/{name}" not in self._difference.old:
                raise SidecarError(
                    f"a directory gives way to a {step.after.kind}, but {name} in it is not synced",
                    f"move {step.path}/{name} to another place",
                )

    def stage(self, step: Step) -> None:
        """Write what a step will place to its temporary name, with mode and owner."""
        if step.after is None or step.action is not Action.PUT:
            return
        with self._live.place(self._temporary(step.path)) as place:
            remove(place)
            owner = self._owner(step, place)
            match step.after.kind:
                case Kind.FILE:
                    self._make_file(place, step.after, owner)
                case Kind.LINK:
                    _make_link(place, step.after, owner)
                case Kind.DIRECTORY:
                    _make_directory(place, step.after, owner)

    def sync_staged(self, steps: Iterable[Step]) -> None:
        """Make sure that the contents of staged files survive a power loss."""
        staged = [
            self._temporary(step.path)
            for step in steps
            if step.action is Action.PUT and step.after and step.after.kind is Kind.FILE
        ]
        self._live.sync(files=staged)

    def perform(self, step: Step) -> Outcome:
        """Do a step, if what it expects lies there."""
        try:
            return self._perform(step, self._temporary(step.path))
        except (FileNotFoundError, FileExistsError, NotADirectoryError):
            return Outcome.MOVED

    def sync_performed(self) -> None:
        """Make sure that the new names and modes survive a power loss."""
        directories = {step.path.rpartition("/")[0] for step in self.steps}
        directories.update(self._anchor(step.path) for step in self.steps)
        changed = [step.path for step in self.steps if step.action is Action.MODE]
        self._live.sync(files=changed, names_in=directories)

    def repair(self, step: Step) -> None:
        """Finish or take back a step that a crash interrupted between two renames."""
        self._live.repair(self._temporary(step.path), step.path)

    def look(self, step: Step) -> Entry | None:
        """Return what lies at the path of a step."""
        return self._live.look(step.path)

    def holds_before(self, step: Step) -> bool:
        """Tell whether the temporary file of a step is what the step expects at its path.

        On the way back that says that the way there never came so far: what it was to place is
        still aside, and what lies at the path is a person's, even if it is the same.
        """
        return (
            step.before is not None and self._live.look(self._temporary(step.path)) == step.before
        )

    def give_back(self, step: Step) -> None:
        """Take a step back that was done, if what it displaced was written to since.

        Who had the file open did not see it go: the edit wins, and is a draft.
        """
        if step.before is None or step.action is Action.MODE:
            return
        temporary = self._temporary(step.path)
        displaced = self._live.look(temporary)
        edited = displaced is not None and not self._is(temporary, step.before)
        if edited and self._live.look(step.path) == step.after:
            if step.after is None:
                self._live.move(temporary, step.path)
            else:
                self._live.exchange(temporary, step.path)

    def discard(self, step: Step) -> None:
        """Remove the temporary file of a step."""
        self._live.drop(self._temporary(step.path))

    def _perform(self, step: Step, temporary: str) -> Outcome:
        # Where nothing was, the rename finds out.
        if step.before is not None and self._live.look(step.path) != step.before:
            return Outcome.MOVED
        match step.action:
            case Action.MODE:
                assert step.after is not None
                self._live.set_mode(step.path, step.after.mode)
                return Outcome.DONE
            case Action.REMOVE:
                return self._remove(step, temporary)
            case Action.PUT:
                return self._put(step, temporary)

    def _remove(self, step: Step, temporary: str) -> Outcome:
        assert step.before is not None
        if step.before.kind is Kind.DIRECTORY and self._live.names(step.path):
            return Outcome.KEPT
        self._live.drop(temporary)
        self._live.move(step.path, temporary)
        if self._is(temporary, step.before):
            return Outcome.DONE
        self._live.move(temporary, step.path)
        return Outcome.MOVED

    def _put(self, step: Step, temporary: str) -> Outcome:
        if self._live.look(temporary) != step.after:
            self.stage(step)
            self.sync_staged([step])
        if step.before is None:
            self._live.move(temporary, step.path)
            return Outcome.DONE
        self._live.exchange(temporary, step.path)
        if self._is(temporary, step.before):
            return Outcome.DONE
        self._live.exchange(temporary, step.path)
        return Outcome.MOVED

    def _is(self, path: str, entry: Entry) -> bool:
        """Tell whether exactly that lies at a path; a directory must be empty."""
        if self._live.look(path) != entry:
            return False
        return entry.kind is not Kind.DIRECTORY or not self._live.names(path)

    def _anchor(self, path: str) -> str:
        return anchor(path, self._difference.old, self._difference.new, self._difference.roots)

    def _temporary(self, path: str) -> str:
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return f"{self._anchor(path)}/{TEMPORARY}{name}"

    def _owner(self, step: Step, place: Place) -> tuple[int, int]:
        """Return the user and group of what is replaced, or else of the directory."""
        replaced = self._live.status(step.path) if step.before else None
        status = replaced or os.fstat(place[0])
        return status.st_uid, status.st_gid

    def _make_file(self, place: Place, entry: Entry, owner: tuple[int, int]) -> None:
        parent, name = place
        content = hashlib.sha256()
        with (
            self._objects.open(entry.digest) as source,
            os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=parent), "wb") as file,
        ):
            while chunk := source.read(_CHUNK):
                content.update(chunk)
                file.write(chunk)
            if content.hexdigest() != entry.digest:
                self._objects.verify(entry.digest)  # it is set aside
                raise SidecarError(
                    f"cannot use object {entry.digest[:12]}: its content is damaged",
                    "it is fetched again from the peers at the next sync, where they have it",
                )
            file.flush()
            _set_owner(file.fileno(), owner)
            os.fchmod(file.fileno(), entry.mode)


def _make_link(place: Place, entry: Entry, owner: tuple[int, int]) -> None:
    parent, name = place
    os.symlink(entry.target, name, dir_fd=parent)
    status = os.lstat(name, dir_fd=parent)
    if (status.st_uid, status.st_gid) != owner:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)


def _make_directory(place: Place, entry: Entry, owner: tuple[int, int]) -> None:
    parent, name = place
    os.mkdir(name, 0o700, dir_fd=parent)
    descriptor = os.open(name, DIRECTORY, dir_fd=parent)
    try:
        inherited = os.fstat(descriptor).st_mode & stat.S_ISGID
        _set_owner(descriptor, owner)
        os.fchmod(descriptor, entry.mode | inherited)
    finally:
        os.close(descriptor)


def _set_owner(descriptor: int, owner: tuple[int, int]) -> None:
    status = os.fstat(descriptor)
    if (status.st_uid, status.st_gid) != owner:
        os.fchown(descriptor, *owner)
