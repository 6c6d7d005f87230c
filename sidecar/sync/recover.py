"""The way back of an apply, and what is left to do after a crash in the middle of one."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.history.change import printable
from sidecar.core.history.steps import Step
from sidecar.errors import MachineError, SidecarError
from sidecar.host.rename import Renamer
from sidecar.sync.journal import Journal, JournalFile, State
from sidecar.sync.live import Live
from sidecar.sync.mover import Mover, Objects, Outcome

Checkpoint = Callable[[str], None]
"""Called after everything that a crash could follow, with its name."""

log = logging.getLogger("sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What became of an apply that was interrupted."""

    done: bool
    """It had been accepted: the head, if it still is `before`, has to become `after`, and then
    `forget` ends it. Otherwise the live tree is that of `before` again, and nothing is left to do.
    """
    before: str | None
    after: str
    kept: tuple[str, ...] = ()
    """Paths that were edited in between and stay as they are."""


def nothing(_name: str) -> None:
    """Let a checkpoint pass."""


def recover(
    journal: Path,
    objects: Objects,
    *,
    renamer: Renamer | None = None,
    checkpoint: Checkpoint = nothing,
) -> Recovery | None:
    """Bring an apply that was interrupted to one of its two ends; return None if there was none.

    It may be interrupted itself, and called again. Raise SidecarError if it fails.
    """
    file = JournalFile(journal)
    found = file.read()
    if found is None:
        return None
    try:
        if found.state is not State.DONE:
            kept = undo(file, found, objects, renamer, checkpoint)
            return Recovery(done=False, before=found.before, after=found.after, kept=kept)
        mover = Mover(found.difference, objects, Live(found.difference.roots, renamer))
        clean(mover, mover.steps, checkpoint)
    except ValueError as error:  # paths, hashes or modes that none of ours has
        raise file.set_aside(str(error)) from error
    return Recovery(done=True, before=found.before, after=found.after)


def forget(journal: Path) -> None:
    """End an apply that `recover` found to be done, once the head is set."""
    JournalFile(journal).remove()


def undo(
    file: JournalFile,
    journal: Journal,
    objects: Objects,
    renamer: Renamer | None,
    checkpoint: Checkpoint,
) -> tuple[str, ...]:
    """Put back what was there before; return the paths that a person changed meanwhile.

    While preparing nothing is changed: then only our temporary files go. Raise SidecarError if that
    fails; the journal stays then.
    """
    way_back = journal.difference.reversed
    live = Live(way_back.roots, renamer)
    mover = Mover(way_back, objects, live)
    changed = () if journal.state is State.PREPARING else mover.steps
    done, kept = [], []
    at = ""
    try:
        for at in way_back.roots:  # a volume that is not mounted is no deleted tree
            live.names(at)
        for step in changed:
            at = step.path
            mover.repair(step)
            if mover.look(step) == step.after:
                continue
            if not mover.holds_before(step) and mover.perform(step) is Outcome.DONE:
                done.append(step)
            else:
                kept.append(step.path)
            checkpoint(f"undone {step.path}")
        mover.sync_performed()
        clean(mover, done, checkpoint)
        file.remove()
    except (OSError, SidecarError) as error:
        before = short(journal.before)
        kind = MachineError if isinstance(error, OSError | MachineError) else SidecarError
        raise kind(
            f"cannot put back {printable(at)} as it was in snapshot {before}: {cause_of(error)}",
            "it is tried again at the next check, and at the start of the container",
        ) from error
    checkpoint("back")
    return tuple(kept)


def clean(mover: Mover, done: Iterable[Step], checkpoint: Checkpoint) -> None:
    """Remove the temporary files; those of steps that were `done` may hold a late edit."""
    displaced = {step.path for step in done}
    for step in mover.steps:
        try:
            if step.path in displaced:
                if step.before is None:  # the temporary file is what lies at the path now
                    continue
                mover.give_back(step)
            mover.discard(step)
        except OSError as error:
            log.warning("a temporary file of %s stays in the folder: %s", step.path, error.strerror)
        checkpoint(f"cleaned {step.path}")


def cause_of(error: OSError | SidecarError) -> str:
    """Return what went wrong, in a few words."""
    return error.message if isinstance(error, SidecarError) else error.strerror or str(error)


def short(snapshot: str | None) -> str:
    """Return what people call a snapshot."""
    return snapshot[:12] if snapshot else "(none)"
