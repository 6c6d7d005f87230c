"""Puts a snapshot in place of the live tree, so that a crash at any moment can be undone.

    change = Apply(current, wanted, roots=…, objects=…, journal=…, before=…, after=…)
    match change.write():                   # preparing ─► applying ─► testing
        case Moved(): …                     # somebody edited: everything is as it was
        case Applied(): …                   # nginx -t, reload, verify
    change.commit()                         # ─► done; then the head is set
    change.finish()                         # no journal
    change.revert()                         # or instead of `commit`: everything is as it was

`recover` does the rest after a crash, before nginx starts. All of this blocks.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.core.history.change import printable
from sidecar.core.history.snapshot import Tree
from sidecar.core.history.steps import Step, check_places, difference
from sidecar.errors import MachineError, SidecarError
from sidecar.host.rename import Renamer
from sidecar.sync.journal import Difference, Journal, JournalFile, State
from sidecar.sync.live import Live
from sidecar.sync.mover import Mover, Objects, Outcome
from sidecar.sync.recover import Checkpoint, cause_of, clean, nothing, short, undo


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The live tree is the wanted one."""

    paths: tuple[str, ...]
    """What was changed, in the order in which it was."""
    kept: tuple[str, ...] = ()
    """Directories that should have gone and hold what is not synced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Nothing was applied: something else lies at `path` than was scanned."""

    path: str


class Apply:
    """One snapshot on its way into the live tree.

    Given: the live tree as scanned, the wanted one, the roots, where objects are, the directory of
    the journal, the ids of both snapshots, and for tests what may interrupt it.
    """

    def __init__(
        self,
        current: Tree,
        wanted: Tree,
        *,
        roots: tuple[str, ...],
        objects: Objects,
        journal: Path,
        before: str | None,
        after: str,
        renamer: Renamer | None = None,
        checkpoint: Checkpoint = nothing,
    ) -> None:
        check_places(wanted, roots)
        old, new = difference(current, wanted)
        changes = Difference(roots=roots, old=old, new=new)
        self._objects, self._renamer, self._checkpoint = objects, renamer, checkpoint
        self._mover = Mover(changes, objects, Live(roots, renamer))
        self._file = JournalFile(journal)
        self._journal = Journal(
            state=State.PREPARING, before=before, after=after, difference=changes
        )
        self._at = ""

    def write(self) -> Applied | Moved:
        """Make the live tree the wanted one.

        Whatever fails, everything is put back as it was, and a SidecarError names what failed.
        """
        if self._file.read() is not None:
            raise SidecarError(
                f"cannot apply snapshot {short(self._journal.after)}: an earlier one has not ended",
                "it is ended before the next check",
            )
        try:
            return self._write()
        except (_MovedError, FileNotFoundError, NotADirectoryError):
            self.revert()
            return Moved(path=self._at)
        except (OSError, SidecarError) as error:
            failure = _explain(error, self._journal, self._at)
            self.revert()
            raise failure from error

    def commit(self) -> None:
        """Say that the live tree is accepted; raise SidecarError, and do nothing, if that fails."""
        try:
            self._enter(State.DONE)
        except OSError as error:
            raise _explain(error, self._journal, "") from error
        clean(self._mover, self._mover.steps, self._checkpoint)

    def finish(self) -> None:
        """Forget the journal, once the head is set."""
        self._file.remove()
        self._checkpoint("finished")

    def revert(self) -> tuple[str, ...]:
        """Put back what was there before; return paths that were edited meanwhile and stay so.

        Raise SidecarError if that fails: then the next check tries it again.
        """
        return undo(self._file, self._journal, self._objects, self._renamer, self._checkpoint)

    def _write(self) -> Applied:
        self._enter(State.PREPARING)
        for step in self._steps():
            if self._mover.keep(step) is Outcome.MOVED:
                raise _MovedError
            self._mover.check(step)
        for step in self._steps():
            self._mover.stage(step)
            self._checkpoint(f"staged {step.path}")
        self._mover.sync_staged(self._mover.steps)
        self._enter(State.APPLYING)
        outcomes = {step.path: self._perform(step) for step in self._steps()}
        self._mover.sync_performed()
        self._enter(State.TESTING)
        return Applied(
            paths=tuple(path for path, outcome in outcomes.items() if outcome is Outcome.DONE),
            kept=tuple(path for path, outcome in outcomes.items() if outcome is Outcome.KEPT),
        )

    def _perform(self, step: Step) -> Outcome:
        outcome = self._mover.perform(step)
        if outcome is Outcome.MOVED:
            raise _MovedError
        self._checkpoint(f"{step.action} {step.path}")
        return outcome

    def _steps(self) -> Iterator[Step]:
        """Go through the steps and remember where, for what goes wrong there."""
        for step in self._mover.steps:
            self._at = step.path
            yield step
        self._at = ""

    def _enter(self, state: State) -> None:
        journal = replace(self._journal, state=state)
        self._file.write(journal)
        self._journal = journal
        self._checkpoint(state)


class _MovedError(Exception):
    """Something else lies at a path than was scanned."""


def _explain(error: OSError | SidecarError, journal: Journal, path: str) -> SidecarError:
    where = f": {printable(path)}" if path else ""
    hint = error.hint if isinstance(error, SidecarError) else _HINTS.get(error.errno or 0, "")
    kind = MachineError if isinstance(error, OSError | MachineError) else SidecarError
    return kind(
        f"cannot apply snapshot {short(journal.after)}: {cause_of(error)}{where}",
        hint or "look at the disk and at the container's volumes",
    )


_ROOM: Final = "make room on the file system of the synced folders; what was there is served"
_RIGHTS: Final = "cap_add of the container needs CHOWN, DAC_OVERRIDE and FOWNER; NFS no_root_squash"
_HINTS: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "mount the folder without `:ro`: sync writes to it",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EBUSY: "something is mounted there: mount the directory that holds it instead",
}
