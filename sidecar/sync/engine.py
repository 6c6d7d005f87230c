"""Sync: accepts what is written here, and takes over what the peers have accepted.

One pass looks at the folders, accepts what differs from the head if it serves well, and then does
what `core.history.reconcile` says until there is nothing left to do. A file event, a peer's new
head, the schedule and a person all lead to the same pass.

All of it is a plain sequence that runs in the worker thread, so passes and commands never overlap;
what needs the loop goes through `ports`. What takes its time is not waited for: pulls run beside
the passes, which only use what is here whole, and what is on trial is looked at in between.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.history.guard import Rules
from sidecar.core.history.reconcile import Plan
from sidecar.core.history.retention import newest_first, retained
from sidecar.core.history.snapshot import Header, Tree
from sidecar.core.sync_report import (
    PATHS_SHOWN,
    SNAPSHOTS_SHOWN,
    SUMMARY_SHOWN,
    Hold,
    SnapshotReport,
    SyncReport,
)
from sidecar.errors import SidecarError
from sidecar.sync.conflicts import Conflicts
from sidecar.sync.decisions import Aside, Decisions
from sidecar.sync.drafts import Drafts
from sidecar.sync.follow import Follower
from sidecar.sync.mend import Mender
from sidecar.sync.ports import Ports
from sidecar.sync.store import History
from sidecar.sync.stuck import Stuck, busy
from sidecar.sync.workspace import BusyError, Head, Look, Workspace

log = logging.getLogger("sync")

RETRY: Final = Backoff(first=5.0, most=300.0, jitter=0.0, free=0)
"""Pace at which all that failed is tried again: a peer, a snapshot, a draft."""

PRUNE_EVERY: Final = 600.0


class Engine:
    """Syncs one node.

    Given: its workspace, the rules, the ways to the loop, its own address, the seconds of good
    service that a new configuration needs, and how many snapshots are kept.
    All of it belongs to the worker thread, but for the properties and `report`: they read values
    that never change, each of which is replaced in one step.
    """

    def __init__(
        self,
        workspace: Workspace,
        rules: Rules,
        ports: Ports,
        *,
        node: str,
        soak: float,
        keep: int,
    ) -> None:
        self._workspace, self._rules, self._ports = workspace, rules, ports
        self._node, self._keep = node, keep
        self._full = True
        self._pruned = time.monotonic()
        self._decisions = Decisions(workspace.history.directory, RETRY)
        self._drafts = Drafts(
            workspace, rules, ports, self._decisions, node=node, soak=soak, pace=RETRY
        )
        self._mender = Mender(workspace, ports.fetch_manifest, rules)
        self._follower = Follower(workspace, rules, ports, self._decisions, self._drafts, RETRY)
        self._stuck = Stuck(rules.roots)
        self._duration = 0.0
        self._listed: Mapping[str, Header] = {}
        self._newest: tuple[SnapshotReport, ...] = ()
        self._head = Head() if workspace.head_is_lost else workspace.head()
        self._conflicts = Conflicts(workspace.history, self._decisions, keep, self.head)

    # What others may see at any time

    @property
    def head(self) -> str | None:
        """Id of the snapshot that is live here; None before the first."""
        return self._head.name

    @property
    def offered(self) -> str | None:
        """What the peers are told that the head is."""
        held = self._decisions.state.held
        return held.snapshot if held else self.head

    @property
    def tree(self) -> Tree:
        """What that has in the folders."""
        return self._head.tree

    @property
    def unseen(self) -> bool:
        """The folders may have been changed while this node was down."""
        return self._drafts.unseen and self.head is not None

    @property
    def on_trial(self) -> bool:
        """What is written here serves, and is watched."""
        return self._drafts.on_trial

    @property
    def stuck(self) -> bool:
        """The last pass failed."""
        return any(hold.reason == "failed" for hold in self._stuck.holds)

    @property
    def aside(self) -> tuple[Aside, ...]:
        """What starts have set aside, the newest last."""
        return self._decisions.state.aside

    def ask_for_all(self) -> None:
        """Let the next pass read every file."""
        self._full = True

    def report(self, next_check: float) -> SyncReport:
        """Return how things stand."""
        rejected = self._decisions.state.rejected
        return SyncReport(
            paths=self._rules.roots,
            head=self.head,
            draft=self._drafts.paths[:PATHS_SHOWN],
            draft_count=len(self._drafts.paths),
            draft_error=self._drafts.error,
            rejected={
                name: rejection.reason
                for name, rejection in rejected.items()
                if name not in self._follower.merged
            },
            conflicts=self._conflicts.count,
            overridden=self._conflicts.paths[:PATHS_SHOWN],
            overridden_count=len(self._conflicts.paths),
            holds=(
                *self._stuck.holds,
                *self._drafts.holds,
                *(one.hold for one in self.aside),
                *self._follower.holds,
            ),
            peers=self._ports.peers.report(self.head, self._ports.fetching),
            last_duration=self._duration,
            next_check=next_check,
            snapshots=self._newest,
        )

    # Passes

    def make_pass(self) -> float | None:
        """Do all that can be done now; return the seconds until the next try, None for no need.

        Raise BusyError if the folders change meanwhile.
        """
        begun = time.monotonic()
        try:
            self._recover()
            self._mender.mend(self._ports.peers.heads, full=self._full)
            self._follow(self._accept(self._look()))
            self._prune()
            self._conflicts.look(self.head, self.tree)
            self._list_newest()
        except SidecarError as error:
            self._stuck.fail(error)
            return RETRY.first
        if path := self._drafts.late:
            self._stuck.name(path)
        self._stuck.rest(pending=self._drafts.pending)
        self._set_head()
        return self._until_retry(time.monotonic() - begun)

    def endure(self, path: str) -> None:
        """Serve the folders although they keep changing, at `path` among others."""
        self._stuck.busy(path)
        with suppress(SidecarError):  # the next pass that is whole says it
            self._drafts.load_unsettled()

    def end_trial(self, error: str) -> None:
        """Note what is wrong with what is on trial."""
        self._drafts.end_trial(error)

    def forgive(self) -> None:
        """Try again what failed."""
        self._drafts.forgive()
        self._follower.forgive()

    def kept(self) -> list[str]:
        """Return the snapshots that are kept with their files, newest first."""
        aside = (one.snapshot for one in self.aside)
        heads = [
            head
            for head in (self.head, self.offered, *self._ports.peers.heads.values(), *aside)
            if head
        ]
        headers = self._history.headers()
        kept = retained(headers, heads, self._keep)
        lost = {parent for one in kept for parent in headers[one].parents} - headers.keys()
        return [one for one in newest_first(headers) if one in kept] + sorted(lost)

    def replenish(self) -> None:
        """Take what the history lacks of the head from the folders, if it is there."""
        self._workspace.replenish()

    # What is done between two passes

    def load(self) -> None:
        """Have the folders served as they are, without accepting them as a snapshot."""
        look = self._glance()
        if look is None:
            self._drafts.load_unsettled()
        else:
            self._drafts.load(look)

    def between[T](self, work: Callable[[Hold | None, Tree | None], T]) -> T:
        """Do something while nobody changes the folders.

        It is given the hold that forbids to load them, if any, and their tree, if it is consistent.
        """
        look = self._glance()
        if look is None:
            return work(self._drafts.guard_unsettled(), None)
        return work(self._drafts.guard(look), look.live)

    def put_back(self, error: str | None) -> bool:
        """Put the head in place of what a guard holds, or what is refused with an `error`.

        What it replaces becomes a snapshot that is not published. Return whether there was anything
        to do. Raise BusyError or SidecarError if it cannot be done.
        """
        look = self._glance()
        return look is not None and look.head is not None and self._drafts.put_back(look, error)

    def drop_aside(self) -> None:
        """Forget what starts have set aside: a person has chosen a state."""
        self._decisions.drop_aside()

    def hold(self) -> Hold:
        """Take over nothing and offer nothing new from now on, also after a restart."""
        return self._decisions.hold(self.head).hold

    def release(self) -> Hold | None:
        """End `sync hold`, else approve what a guard holds; return which it was."""
        if (by_hand := self._decisions.go_on()) is not None:
            self._ports.tell_head()
            return by_hand.hold
        held = self._drafts.held
        if held is None or not held.release:
            return None
        self._decisions.release(held.release)
        return held

    def conflicts(self) -> Conflicts:
        """Return what merges have overridden, as it is now."""
        self._conflicts.look(self.head, self.tree)
        return self._conflicts

    def choices(self, look: Look) -> Mapping[str, Sequence[str]]:
        """Return the peers' heads that cannot be merged with the own one, with their nodes."""
        return self._follower.plan(look).choices if look.snapshot else {}

    def forecast(self) -> tuple[Look, Plan]:
        """Return the state of the folders, and what a pass would do with the peers."""
        try:
            look = self._workspace.look()
        except BusyError:
            raise busy("cannot look") from None
        return look, self._follower.plan(look)

    def exclusively[T](self, work: Callable[[Look], T]) -> T:
        """Change the folders by `work`, given their state, and scan them anew afterwards."""
        try:
            self._recover()
            self._mender.mend(self._ports.peers.heads, full=False)
            result = work(self._workspace.look())
        except BusyError:
            raise busy("cannot do that") from None
        self._follower.forget()
        self._set_head()
        return result

    # The steps

    @property
    def _history(self) -> History:
        return self._workspace.history

    def _glance(self) -> Look | None:
        """Return the state of the folders; None without a consistent scan, or if it cannot sync."""
        try:
            look = self._workspace.look()
        except BusyError:
            return None
        return None if look.refused else look

    def _recover(self) -> None:
        """End an apply that failed on its way to an end, e.g. since a disk was full."""
        if self._workspace.recover():
            self._ports.try_peers(None)
        if self._history.head() != self.head:
            self._follower.forget()
            self._set_head()

    def _look(self) -> Look:
        """Look at the folders, at every byte if that is due."""
        self._ports.check()
        begun, full, self._full = time.monotonic(), self._full, False
        try:
            look = self._workspace.look(full=full)
        except BaseException:
            self._full = self._full or full
            raise
        if full:
            self._duration = time.monotonic() - begun
        return look

    def _accept(self, look: Look) -> Look:
        """Make a snapshot of what is written here, if that serves well; return what is then."""
        accepted = self._drafts.accept(look)
        if accepted is not look:
            self._set_head()
            self._follower.forget()
        elif look.refused:
            self._drafts.load_unsettled()
        elif not self._drafts.paths:
            self._ports.ensure(look.live)
            if not look.draft:
                self._decisions.withdraw()
        return accepted

    def _follow(self, look: Look) -> None:
        """Do step after step until there is none that can be done at once."""
        while not look.refused and (look.snapshot or look.head is None):
            self._ports.check()
            if not self._follower.step(look):
                return
            self._set_head()
            look = self._workspace.look()
        self._follower.rest()

    def _until_retry(self, took: float) -> float | None:
        """Return the seconds until something that failed is tried again.

        What was due before the pass that `took` so long has had its turn, or nobody has it now.
        """
        now = time.time()
        waits = [*self._ports.peers.waits(time.monotonic()), *self._drafts.waits()]
        waits += self._stuck.waits()
        waits += [due - now for due in self._follower.dues(now)]
        return max(0.1, min(waits)) if (waits := [wait for wait in waits if wait > -took]) else None

    def _set_head(self) -> None:
        if (name := self._history.head()) != self.head:
            log.info("head is %s", name[:12] if name else "gone")
            self._head = self._workspace.head()
            self._ports.tell_head()

    def _list_newest(self) -> None:
        """Keep at hand what people are shown of the newest snapshots, if there are others."""
        headers = self._history.headers()
        if headers is self._listed:
            return
        self._listed = headers
        self._newest = tuple(
            SnapshotReport(
                id=name,
                time=headers[name].time,
                node=headers[name].node,
                summary=headers[name].summary[:SUMMARY_SHOWN],
            )
            for name in newest_first(headers)[:SNAPSHOTS_SHOWN]
        )

    def _prune(self) -> None:
        if time.monotonic() - self._pruned < PRUNE_EVERY:
            return
        self._pruned = time.monotonic()
        self._ports.doubt_past()
        self._conflicts.look_again()
        self._history.prune(self.kept())
