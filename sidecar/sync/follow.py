"""What the peers have accepted: brought here, and taken over if it can be served here.

    a peer's head ─► pulled, beside the passes ─► put in place ─► served ─► the head
                                                      │             └─ refused: tried again later
                                                      └─ this machine failed: tried again later

Which of it is next `core.history.reconcile` decides.
"""

import logging
import time
from dataclasses import dataclass
from typing import Final

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.history.guard import Rules
from sidecar.core.history.merge import UnknownTreeError, join, merge
from sidecar.core.history.reconcile import (
    Facts,
    FastForward,
    Fetch,
    Join,
    Merge,
    Plan,
    reconcile,
)
from sidecar.core.history.snapshot import Snapshot
from sidecar.core.sync_report import Hold
from sidecar.errors import MachineError, SidecarError
from sidecar.sync.decisions import Aside, Decisions
from sidecar.sync.drafts import Drafts
from sidecar.sync.past import Past
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import Look, RefusedByServiceError, Workspace

MOST_MERGES: Final = 16
"""Merges that are held at a time; more than can be of use at once."""

_LOST: Final = "this node lost its history, and had files that no other node knows"

log = logging.getLogger("sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """This machine could not take a snapshot over, which says nothing about the snapshot."""

    hold: Hold
    retry: Retry
    """In unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A merge that is in the history."""

    name: str
    snapshot: Snapshot


class Follower:
    """Follows the peers.

    Given: the folders, the rules, the ways to the loop, what was decided before, what is written
    here, and the pace at which a snapshot that could not be taken over is tried again.
    """

    def __init__(
        self,
        workspace: Workspace,
        rules: Rules,
        ports: Ports,
        decisions: Decisions,
        drafts: Drafts,
        pace: Backoff,
    ) -> None:
        self._workspace, self._rules, self._ports = workspace, rules, ports
        self._decisions, self._drafts, self._pace = decisions, drafts, pace
        self._plan = Plan()
        self._failures: dict[str, Failure] = {}
        """What kept this machine from taking snapshots over, by id."""
        self._merges: dict[tuple[str, ...], Made] = {}
        """Merges of this node's head with peers', by these heads."""
        self._unmade: dict[tuple[str, ...], Retry] = {}
        """Heads that cannot be merged for now, e.g. for want of a base; in unix seconds."""

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What waits for a person."""
        if held := self._decisions.state.held:
            return (held.hold,)
        return (*(one.hold for one in self._failures.values()), *self._plan.holds)

    @property
    def merged(self) -> frozenset[str]:
        """The merges of heads that have diverged; the holds report on these."""
        return frozenset(one.name for one in self._merges.values())

    def step(self, look: Look) -> bool:
        """Do the next step; return whether to look again, as there may be another one.

        What is on trial has to end first; only pulls begin meanwhile.
        """
        self._merges = {some: one for some, one in self._merges.items() if look.head in some}
        self._unmade = {some: one for some, one in self._unmade.items() if look.head in some}
        heads = {look.head, *self._ports.peers.heads.values(), *self.merged}
        self._failures = {name: one for name, one in self._failures.items() if name in heads}
        while isinstance(step := self._think(look).step, Fetch):
            self._ports.begin_pull(step.node, step.snapshot)
        if self._drafts.on_trial:
            self.rest()
            return False
        match step:
            case None:
                self._ports.count_equal(look.head)
                return False
            case FastForward(snapshot=snapshot, leaves=leaves):
                (self._leave if leaves else self._fast_forward)(look, snapshot)
            case Join(parents=parents):
                self._join(parents)
            case Merge(heads=parents):
                self._merge(parents)
        return True

    def rest(self) -> None:
        """Say nothing of the peers: there is nothing that they could be compared with now."""
        self._plan = Plan()

    def plan(self, look: Look) -> Plan:
        """Return what is next, and what waits for a person."""
        if held := self._decisions.state.held:
            return Plan(holds=(held.hold,))
        coming = self._ports.coming  # first: a pull that ends in between is not begun again
        peers = self._ports.peers
        graph = self._workspace.history.graph()
        past = graph.ancestors(look.head) if look.head else frozenset[str]()
        complete = {
            name: snapshot
            for name in peers.fetched - past - {look.head}
            if (snapshot := self._workspace.history.complete(name)) is not None
        }
        own = {look.head: look.snapshot} if look.head and look.snapshot else {}
        now = time.time()
        facts = Facts(
            now=now,
            head=look.head,
            peers=peers.willing(coming, time.monotonic()),
            graph=graph,
            snapshots={
                **complete,
                **own,
                **{one.name: one.snapshot for one in self._merges.values()},
            },
            draft=look.draft,
            pending=self._drafts.pending,
            rejected=self.retries(now),
            reasons={name: one.reason for name, one in self._decisions.state.rejected.items()},
            past=Past(self._workspace.history),
            merges={
                **{heads: None for heads, one in self._unmade.items() if one.due > now},
                **{heads: one.name for heads, one in self._merges.items()},
            },
        )
        return reconcile(facts, self._rules)

    def forgive(self) -> None:
        """Try again now what could not be taken over."""
        self._failures, self._unmade = {}, {}
        self._decisions.forgive()

    def forget(self) -> None:
        """Start anew: the head is another now."""
        self._failures, self._unmade = {}, {}
        self._decisions.forget()

    def dues(self, now: float) -> list[float]:
        """Return when anything that failed is tried again, in unix seconds."""
        return [*self.retries(now).values(), *(one.due for one in self._unmade.values())]

    def retries(self, now: float) -> dict[str, float]:
        """Return when each snapshot that could not be taken over is tried again."""
        failed = {name: one.retry.due for name, one in self._failures.items()}
        return {**self._decisions.retries(now), **failed}

    def _think(self, look: Look) -> Plan:
        self._plan = self.plan(look)
        return self._plan

    def _leave(self, look: Look, name: str) -> None:
        """Go to a snapshot that lacks files of the own head: that is named first."""
        assert look.head is not None
        aside = Aside(snapshot=look.head, reason="state-lost", message=_LOST)
        self._decisions.set_aside(aside)
        try:
            self._fast_forward(look, name)
        finally:
            if self._workspace.history.head() == look.head:
                self._decisions.drop_aside(look.head)
            else:
                log.warning("%s; %s", aside.hold.message, aside.hold.hint)

    def _fast_forward(self, look: Look, name: str) -> None:
        snapshot = self._workspace.history.get(name)
        try:
            if (path := self._workspace.left_out(snapshot.tree)) is not None:
                raise RefusedByServiceError(
                    f"{path} is excluded on this node: set the same HA_SYNC_EXCLUDE on every node"
                )
            self._workspace.apply(look, snapshot, name, self._ports.try_peers)
        except MachineError as error:
            self._fail(name, error)
            return
        except SidecarError as error:  # at once it would fail again, and wake the watch each time
            self._decisions.reject(name, error.line, time.time())
            log.error("snapshot %s is refused here: %s", name[:12], error.line)  # noqa: TRY400
            return
        maker = f" from {snapshot.node}" if snapshot.node else ""
        log.info("took over %s%s: %s", name[:12], maker, snapshot.summary)
        self._drafts.clear()
        self.forget()

    def _fail(self, name: str, error: MachineError) -> None:
        hold = Hold(reason="failed", message=error.message, hint=error.hint)
        before = self._failures.get(name)
        retry = (before.retry if before else Retry()).failed(self._pace, time.time())
        if before is None or before.hold != hold:
            log.error("%s", error.line)
        self._failures = {**self._failures, name: Failure(hold=hold, retry=retry)}

    def _merge(self, heads: tuple[str, ...]) -> None:
        """Merge heads, or note that it is tried again: what is missing may still be brought."""
        history = self._workspace.history
        try:
            merged = merge(heads, history.graph(), Past(history))
            made = Made(name=history.add(merged), snapshot=merged)
        except MachineError:
            raise
        except UnknownTreeError as error:
            why = f"snapshot {error.args[0][:12]}, their common ancestor, is no longer kept here"
        except SidecarError as error:
            why = error.line
        else:
            kept = list(self._merges.items())[1 - MOST_MERGES :]
            self._merges = {**dict(kept), heads: made}
            return
        before = self._unmade.get(heads, Retry())
        if not before.failures:
            log.error("cannot merge %s: %s", " and ".join(one[:12] for one in heads), why)
        self._unmade = {**self._unmade, heads: before.failed(self._pace, time.time())}

    def _join(self, parents: tuple[str, ...]) -> None:
        united = join({name: self._workspace.history.get(name) for name in parents})
        self._workspace.history.set_head(self._workspace.history.add(united))
