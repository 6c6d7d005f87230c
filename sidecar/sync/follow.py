"""What the peers have accepted: brought here, and taken over if it can be served here.

    a peer's head ─► pulled, beside the passes ─► put in place ─► served ─► the head
                                                      │             └─ refused: tried again later
                                                      └─ this machine failed: tried again later

Which of it is next `core.reconcile` decides.
"""

import logging
import time
from dataclasses import dataclass

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.guard import Rules
from sidecar.core.reconcile import Facts, FastForward, Fetch, Join, Plan, join, reconcile
from sidecar.core.sync import Hold
from sidecar.errors import MachineError, SidecarError
from sidecar.sync.decisions import Decisions
from sidecar.sync.drafts import Drafts
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import Look, RefusedByServiceError, Workspace

log = logging.getLogger("sync")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """This machine could not take a snapshot over, which says nothing about the snapshot."""

    hold: Hold
    retry: Retry
    """In unix seconds."""


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

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What waits for a person."""
        return (*(one.hold for one in self._failures.values()), *self._plan.holds)

    def step(self, look: Look) -> bool:
        """Do the next step; return whether to look again, as there may be another one.

        What is on trial has to end first; only pulls begin meanwhile.
        """
        heads = frozenset(self._ports.peers.heads.values())
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
            case FastForward(snapshot=snapshot):
                self._fast_forward(look, snapshot)
            case Join(parents=parents):
                self._join(parents)
        return True

    def rest(self) -> None:
        """Say nothing of the peers: there is nothing that they could be compared with now."""
        self._plan = Plan()

    def plan(self, look: Look) -> Plan:
        """Return what is next, and what waits for a person."""
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
            snapshots={**complete, **own},
            draft=look.draft,
            rejected=self.retries(now),
        )
        return reconcile(facts, self._rules)

    def forgive(self) -> None:
        """Try again now what could not be taken over."""
        self._failures = {}
        self._decisions.forgive()

    def forget(self) -> None:
        """Start anew: the head is another now."""
        self._failures = {}
        self._decisions.forget()

    def retries(self, now: float) -> dict[str, float]:
        """Return when each snapshot that could not be taken over is tried again."""
        failed = {name: one.retry.due for name, one in self._failures.items()}
        return {**self._decisions.retries(now), **failed}

    def _think(self, look: Look) -> Plan:
        self._plan = self.plan(look)
        return self._plan

    def _fast_forward(self, look: Look, name: str) -> None:
        snapshot = self._workspace.history.get(name)
        try:
            if (path := self._workspace.left_out(snapshot.tree)) is not None:
                raise RefusedByServiceError(
                    f"{path} is left out on this node: set HA_SYNC_EXCLUDE alike on every node"
                )
            self._workspace.apply(look, snapshot, name, self._ports.try_peers)
        except MachineError as error:
            self._fail(name, error)
            return
        except SidecarError as error:  # at once it would fail again, and wake the watch each time
            self._decisions.reject(name, error.line, time.time())
            log.error("snapshot %s is refused here: %s", name[:12], error.line)  # noqa: TRY400
            return
        log.info("took over %s from %s: %s", name[:12], snapshot.node, snapshot.summary)
        self._drafts.clear()
        self.forget()

    def _fail(self, name: str, error: MachineError) -> None:
        hold = Hold(reason="failed", message=error.message, hint=error.hint)
        before = self._failures.get(name)
        retry = (before.retry if before else Retry()).failed(self._pace, time.time())
        if before is None or before.hold != hold:
            log.error("%s", error.line)
        self._failures = {**self._failures, name: Failure(hold=hold, retry=retry)}

    def _join(self, parents: tuple[str, ...]) -> None:
        united = join({name: self._workspace.history.get(name) for name in parents})
        self._workspace.history.set_head(self._workspace.history.add(united))
