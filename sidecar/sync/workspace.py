"""The synced folders of this node, and the history that they are compared with."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sidecar.core.history.change import Change, changes, summarise
from sidecar.core.history.exclude import excluder, leave_alone, left_out
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.retention import newest_first
from sidecar.core.history.snapshot import Snapshot, Tree
from sidecar.errors import SidecarError
from sidecar.host import files
from sidecar.sync.apply import Apply, Moved
from sidecar.sync.journal import JournalFile
from sidecar.sync.marks import LostHeadError
from sidecar.sync.objects import keeping
from sidecar.sync.recover import forget, recover
from sidecar.sync.refusal import Refusal
from sidecar.sync.scan import Known, scan
from sidecar.sync.store import History

log = logging.getLogger("sync")

Serve = Callable[[Tree], str | None]
"""Lets a tree that was put in place be served; returns why that cannot be."""


class BusyError(Exception):
    """The folders changed while they were looked at, at `path` among others: look again."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class RefusedByServiceError(SidecarError):
    """What serves the folders does not want a snapshot; the message is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The state of the folders, and how it differs from the head."""

    head: str | None
    snapshot: Snapshot | None
    """The head's; None before the first."""
    base: Tree
    """The head's tree; empty before the first snapshot."""
    live: Tree
    draft: tuple[Change, ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The snapshot that is live here."""

    name: str | None = None
    """Its id; None before the first."""
    tree: Tree = field(default_factory=dict)
    """Empty where it cannot be read."""


class Workspace:
    """Reads and changes the folders. All of it blocks.

    Given: the folders, patterns of what is left alone, the directory of our state.
    """

    def __init__(self, roots: tuple[str, ...], exclude: Sequence[str], state: Path) -> None:
        self.roots = roots
        self.history = History(state / "history")
        self._exclude = tuple(exclude)
        self._excluded = excluder(self._exclude)
        self._journal = state / "journal"
        with keeping():
            files.make_directory(self._journal)
        self._journal_file = JournalFile(self._journal)
        self._lost: str | None = None
        """A head whose manifest is lost for good: its successor is made from the folders."""
        self._known: Known = {}
        self._head: tuple[str, Snapshot] | None = None
        """The head, decoded: that of thousands of files takes a while to read."""

    def left_out(self, tree: Tree) -> str | None:
        """Return a path of a peer's tree that this node leaves alone; None if there is none.

        Taken over, it would be missing from the next look and read as deleted.
        """
        return min(left_out(tree, self.roots, self._excluded), default=None)

    def spare(self, wanted: Tree, look: Look) -> Tree:
        """Return `wanted` with what this node leaves alone as the head has it."""
        return leave_alone(wanted, look.base, self.roots, self._excluded)

    def on_disk(self, tree: Tree) -> Tree:
        """Return what this node has of a tree in its folders: all but what it leaves alone."""
        out = left_out(tree, self.roots, self._excluded)
        return {path: entry for path, entry in tree.items() if path not in out} if out else tree

    def newly_left_out(self, look: Look) -> str | None:
        """Return a path that is gone from the tree only since this node leaves it alone now.

        The changes cannot tell: a copy of such a file under another name reads as a rename.
        """
        return self.left_out({path: look.base[path] for path in look.base.keys() - look.live})

    def remains(self) -> tuple[Tree, Tree]:
        """Return the head's tree, and what of it there still is, whatever it holds now."""
        head = self.history.head()
        base: Tree = self._decoded(head).tree if head else {}
        return base, {path: one for path, one in base.items() if os.path.lexists(path)}

    def recover(self) -> bool:
        """Bring an apply that was interrupted to one of its two ends.

        Return whether the folders were put back as they were before it. Find the head again if it
        cannot be read.
        """
        found = recover(self._journal, self.history)
        if found is None:
            if self.head_is_lost:
                self._find_head()
            return False
        if self.head_is_lost:
            self.history.replace_head(found.after if found.done else found.before)
        elif found.done and self.history.head() == found.before:
            self.history.set_head(found.after)
        forget(self._journal)
        log.warning(
            "an interrupted apply of snapshot %s was %s",
            found.after[:12],
            "completed" if found.done else "undone",
        )
        return not found.done

    def head(self) -> Head:
        """Return the snapshot that is live here; raise LostHeadError where that cannot be told."""
        name = self.history.head()
        with suppress(SidecarError):
            if name and name != self._lost:
                return Head(name=name, tree=self._decoded(name).tree)
        return Head(name=name)

    @property
    def head_is_lost(self) -> bool:
        """What names the head cannot be read."""
        try:
            self.history.head()
        except LostHeadError:
            return True
        return False

    @property
    def may_be_half(self) -> bool:
        """The folders may be half of an apply: it was interrupted, and its journal is damaged."""
        return self._journal_file.lost

    def mend(self, *, full: bool) -> bool:
        """Make the head's manifest whole again from what is known here; return whether it is.

        One that is in memory is compared with the disk only if `full`. Raise SidecarError
        while the folders cannot be read.
        """
        head = self.history.head()
        if head is None or head == self._lost:
            return True
        if self._head is not None and self._head[0] == head:
            if full and not self.history.readable(head):
                with suppress(SidecarError):  # an object may be missing: a peer has both
                    self.history.add(self._head[1])
            return True
        if self.history.readable(head):
            return True
        live = self._scan_all()
        header = self.history.headers().get(head)
        if header is None or header.tree != fingerprint(live):
            return False
        self._put(live)
        log.warning("the manifest of head is made again: the folders are as its header says")
        return self.history.rebuild(head, live)

    def replenish(self) -> None:
        """Keep again what the history lacks of the head and the folders still have."""
        head = self.history.head()
        if head is None or head == self._lost:
            return
        files = {path: one.digest for path, one in self._decoded(head).tree.items() if one.digest}
        absent = self.history.absent(files.values())
        for path in (path for path, digest in files.items() if digest in absent):
            with suppress(OSError):  # gone by now
                self.history.put(Path(path))

    def give_up(self, usable: Callable[[Tree], bool]) -> bool:
        """Make the folders the successor of a head whose manifest no node has.

        If they match another snapshot, that becomes the head. Return whether they are `usable`.
        """
        live = self._scan_all()
        if (same := self._snapshot_of(live)) is not None:
            self.history.replace_head(same)
            return True
        if usable(live):
            self._lost = self.history.head()
        return usable(live)

    def look(self, *, full: bool = False) -> Look:
        """Compare the folders with the head; read every file if `full`. Raise BusyError."""
        known = {} if full else self._known
        found = scan(self.roots, exclude=self._exclude, known=known)
        if found.busy:
            raise BusyError(found.busy)
        self._known = found.known
        head = self.history.head()
        snapshot = self._decoded(head) if head and head != self._lost else None
        base: Tree = snapshot.tree if snapshot else {}
        draft = () if found.refused else changes(base, found.tree)
        if not found.refused and not draft and head:  # nothing is half of something any more
            self._journal_file.forget_lost(self.history.directory / "damaged" / "journal")
        return Look(
            head=head,
            snapshot=snapshot,
            base=base,
            live=found.tree,
            draft=draft,
            refused=found.refused,
        )

    def keep(self, look: Look, node: str, now: float, summary: str = "") -> Look:
        """Keep what was seen as a snapshot that follows the head, which stays the head.

        Return how it would look if it were the head. Raise BusyError if a file is no longer what
        was seen.
        """
        snapshot = Snapshot(
            roots=self.roots,
            tree=look.live,
            parents=(look.head,) if look.head else (),
            node=node,
            time=now,
            summary=summary or _summary(look, self.roots),
        )
        name = self._keep(snapshot)
        return replace(look, head=name, snapshot=snapshot, base=look.live, draft=())

    def apply(self, look: Look, snapshot: Snapshot, name: str, serve: Serve) -> None:
        """Put a snapshot in place of what was seen, let it be served, and make it the head.

        Raise BusyError if somebody edits at this moment, RefusedByServiceError if the service does
        not want it: then, as after whatever `serve` raises, everything is as it was.
        """
        change = Apply(
            look.live,
            self.on_disk(snapshot.tree),
            roots=self.roots,
            objects=self.history,
            journal=self._journal,
            before=look.head,
            after=name,
        )
        written = change.write()
        if isinstance(written, Moved):
            raise BusyError(written.path)
        try:
            reason = serve(snapshot.tree)
        except BaseException:  # a stop too
            change.revert()
            raise
        try:
            if reason is not None:
                raise RefusedByServiceError(reason)
            change.commit()
        except SidecarError:
            change.revert()
            serve(look.live)
            raise
        self.history.set_head(name)
        change.finish()
        self._head = name, snapshot

    def put_back(self, look: Look) -> None:
        """Put the head in place of what was seen, while nobody serves the folders.

        Raise BusyError if somebody edits at this moment, SidecarError if it cannot be done.
        """
        assert look.head is not None and look.snapshot is not None  # noqa: PT018 - one condition
        here = replace(look.snapshot, tree=self.on_disk(look.base))
        self.apply(look, here, look.head, lambda _tree: None)
        self._head = None  # that is not all of it where this node leaves something out

    def _find_head(self) -> None:
        """Make the newest snapshot that matches the folders the head, else have none.

        With none this node meets its peers as for the first time: nothing is overwritten.
        """
        same = self._snapshot_of(self._scan_all())
        self.history.replace_head(same)
        log.warning("the head could not be read; by the folders it is %s", (same or "none")[:12])

    def _snapshot_of(self, live: Tree) -> str | None:
        """Return the newest known snapshot of a tree, whole or rebuilt; None if there is none."""
        headers, tree = self.history.headers(), fingerprint(live)
        for name in newest_first(headers):
            if headers[name].tree == tree and headers[name].roots == self.roots:
                self._put(live)
                return name if self.history.rebuild(name, live) else None
        return None

    def _scan_all(self) -> Tree:
        found = scan(self.roots, exclude=self._exclude, known={})
        if found.refused or found.busy:
            path = found.busy or found.refused[0].path
            raise SidecarError(
                f"cannot mend the history: the folders cannot be compared: {path}",
                "it is tried again",
            )
        return found.tree

    def _decoded(self, head: str) -> Snapshot:
        if self._head is None or self._head[0] != head:
            self._head = head, self.history.get(head)
        return self._head[1]

    def _keep(self, snapshot: Snapshot) -> str:
        self._put(snapshot.tree)
        name = self.history.add(snapshot)
        self._head = name, snapshot
        return name

    def _put(self, live: Tree) -> None:
        """Keep the contents of what was seen; raise BusyError if a file is something else now."""
        digests = {path: one.digest for path, one in live.items() if one.digest}
        absent = self.history.absent(digests.values())
        new = {path: digest for path, digest in digests.items() if digest in absent}
        try:
            kept = dict(zip(new, self.history.put_all(map(Path, new)), strict=True))
        except OSError as error:
            raise BusyError(str(error.filename)) from error
        if kept != new:
            raise BusyError(min(path for path in new if kept[path] != new[path]))


def _summary(look: Look, roots: Sequence[str]) -> str:
    if look.head and look.snapshot is None:
        return f"as found: the manifest of {look.head[:12]} is damaged"
    return summarise(look.draft, roots)
