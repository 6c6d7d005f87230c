"""The synced folders of this node, and the history that they are compared with."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.core.change import Change, changes, summarise
from sidecar.core.exclude import excluder
from sidecar.core.snapshot import Entry, Kind, Snapshot, Tree
from sidecar.errors import SidecarError
from sidecar.sync.apply import Apply, Moved
from sidecar.sync.recover import forget, recover
from sidecar.sync.refusal import Refusal
from sidecar.sync.scan import Known, scan
from sidecar.sync.served import Served
from sidecar.sync.store import History

log = logging.getLogger("sync")


class BusyError(Exception):
    """The folders changed while they were looked at, at `path` among others: look again."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class RefusedByServiceError(SidecarError):
    """What serves the folders does not want a snapshot; the message is its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What lies in the folders, and how it differs from the head."""

    head: str | None
    snapshot: Snapshot | None
    """The head's; None before the first."""
    base: Tree
    """The head's tree; empty before the first snapshot."""
    live: Tree
    draft: tuple[Change, ...]
    refused: tuple[Refusal, ...]


class Workspace:
    """Reads and changes the folders.

    Given: the folders, patterns of what is left alone, the directory of our state.
    """

    def __init__(self, roots: tuple[str, ...], exclude: Sequence[str], state: Path) -> None:
        self.roots = roots
        self.history = History(state / "history")
        self._exclude = tuple(exclude)
        self._excluded = excluder(self._exclude)
        self._journal = state / "journal"
        self._known: Known = {}
        self._head: tuple[str, Snapshot] | None = None
        """The head, decoded: that of thousands of files takes a while to read."""

    def left_out(self, tree: Tree) -> str | None:
        """Return a path of a peer's tree that this node leaves alone; None if there is none.

        Taken over, it would be missing from the next look and read as deleted.
        """
        return next((path for path, entry in tree.items() if self._leaves_out(path, entry)), None)

    def newly_left_out(self, draft: Sequence[Change]) -> str | None:
        """Return a path that is gone from the tree only since this node leaves it alone now."""
        for change in draft:
            if change.new is None and change.old and self._leaves_out(change.path, change.old):
                return change.path
        return None

    def recover(self) -> bool:
        """Bring an apply that was interrupted to one of its two ends. Blocks.

        Return whether the folders were put back as they were before it.
        """
        found = recover(self._journal, self.history)
        if found is None:
            return False
        if found.done and self.history.head() == found.before:
            self.history.set_head(found.after)
        forget(self._journal)
        log.warning(
            "an interrupted apply of snapshot %s was %s",
            found.after[:12],
            "completed" if found.done else "undone",
        )
        return not found.done

    async def look(self, *, full: bool = False) -> Look:
        """Compare the folders with the head; read every file if `full`. Raise BusyError."""
        return await asyncio.to_thread(self._look, full)

    async def keep(self, look: Look, node: str, now: float, summary: str = "") -> Look:
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
            summary=summary or summarise(look.draft, self.roots),
        )
        name = await asyncio.to_thread(self._keep, snapshot)
        return replace(look, head=name, snapshot=snapshot, base=look.live, draft=())

    async def apply(self, look: Look, snapshot: Snapshot, name: str, served: Served) -> None:
        """Put a snapshot in place of what was seen and make it the head.

        Raise BusyError if somebody edits at this moment, RefusedByServiceError if the service does
        not want it: then everything is as it was, and served as before.
        """
        change = Apply(
            look.live,
            snapshot.tree,
            roots=self.roots,
            objects=self.history,
            journal=self._journal,
            before=look.head,
            after=name,
        )
        async with served.files:
            try:
                written = await _to_the_end(change.write)
            except asyncio.CancelledError:
                await asyncio.to_thread(change.revert)
                raise
            if isinstance(written, Moved):
                raise BusyError(written.path)
            try:
                reason = await served.try_peers()
            except BaseException:
                await asyncio.to_thread(change.revert)
                raise
            try:
                if reason:
                    raise RefusedByServiceError(reason)
                await asyncio.to_thread(change.commit)
            except SidecarError:
                await asyncio.to_thread(change.revert)
                await served.try_peers()
                raise
            await asyncio.to_thread(self._finish, change, name, snapshot)

    def _leaves_out(self, path: str, entry: Entry) -> bool:
        root = next((one for one in self.roots if path.startswith(f"{one}/")), "")
        return self._excluded(path.removeprefix(root), entry.kind is Kind.DIRECTORY)

    def _look(self, full: bool) -> Look:
        known = {} if full else self._known
        found = scan(self.roots, exclude=self._exclude, known=known)
        if found.busy:
            raise BusyError(found.busy)
        self._known = found.known
        head = self.history.head()
        snapshot = self._decoded(head) if head else None
        base: Tree = snapshot.tree if snapshot else {}
        return Look(
            head=head,
            snapshot=snapshot,
            base=base,
            live=found.tree,
            draft=() if found.refused else changes(base, found.tree),
            refused=found.refused,
        )

    def _decoded(self, head: str) -> Snapshot:
        if self._head is None or self._head[0] != head:
            self._head = head, self.history.get(head)
        return self._head[1]

    def _keep(self, snapshot: Snapshot) -> str:
        digests = {path: one.digest for path, one in snapshot.tree.items() if one.digest}
        absent = self.history.absent(digests.values())
        new = {path: digest for path, digest in digests.items() if digest in absent}
        try:
            kept = dict(zip(new, self.history.put_all(map(Path, new)), strict=True))
        except OSError as error:
            raise BusyError(str(error.filename)) from error
        if kept != new:
            raise BusyError(min(path for path in new if kept[path] != new[path]))
        name = self.history.add(snapshot)
        self._head = name, snapshot
        return name

    def _finish(self, change: Apply, name: str, snapshot: Snapshot) -> None:
        self.history.set_head(name)
        change.finish()
        self._head = name, snapshot


async def _to_the_end[T](work: Callable[[], T]) -> T:
    """Do something in a thread; who is cancelled meanwhile waits for its end."""
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
