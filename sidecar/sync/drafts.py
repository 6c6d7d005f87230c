"""What is written here: tried, and kept as a snapshot if it serves well.

    seen ── guarded ────────────────────────────► held, until a release
     │
     └─► served ── refused, or not well ────────► failed, tried again later or when it changes
            │
            └─► on trial for the soak ── well ──► kept: the head

A trial holds nobody up: whatever changes the folders meanwhile ends it, and that is no failure.
"""

import time
from dataclasses import dataclass, field, replace

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.change import different, printable
from sidecar.core.guard import Rules, guard, is_stock
from sidecar.core.manifest import fingerprint
from sidecar.core.snapshot import Tree
from sidecar.core.sync import Hold
from sidecar.errors import SidecarError
from sidecar.sync.decisions import Decisions
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import BusyError, Look, RefusedByServiceError, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What differs from the head and is not accepted."""

    tree: Tree = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    hold: Hold | None = None
    error: str = ""
    """Why it does not serve."""
    pending: bool = False
    """It waits for a while without much change."""
    retry: Retry = field(default_factory=Retry)
    """When the same tree is tried again, in monotonic seconds."""
    until: float | None = None
    """Monotonic time up to which it is on trial; None while it is not."""


class Drafts:
    """Accepts what is written here.

    Given: the folders, the rules, the ways to the loop, what was released, the own address, the
    seconds of good service that a draft needs, and the pace at which a failed one is tried again.
    """

    def __init__(
        self,
        workspace: Workspace,
        rules: Rules,
        ports: Ports,
        decisions: Decisions,
        *,
        node: str,
        soak: float,
        pace: Backoff,
    ) -> None:
        self._workspace, self._rules, self._ports = workspace, rules, ports
        self._decisions = decisions
        self._node, self._soak, self._pace = node, soak, pace
        self._draft = Draft()
        self._refused: tuple[Hold, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs from the head."""
        return self._draft.paths

    @property
    def error(self) -> str:
        """Why that does not serve."""
        return self._draft.error

    @property
    def held(self) -> Hold | None:
        """What a guard says, and a release lets pass."""
        return self._draft.hold

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What waits for a person."""
        return (*self._refused, *((self._draft.hold,) if self._draft.hold else ()))

    @property
    def on_trial(self) -> bool:
        """It serves, and is watched."""
        return self._draft.until is not None

    def waits(self) -> list[float]:
        """Return the seconds until a draft that failed is tried again, or a trial ends."""
        if self._draft.until is not None:
            return [self._draft.until - time.monotonic()]
        tried_again = self._draft.error or self._draft.pending
        return [self._draft.retry.due - time.monotonic()] if tried_again else []

    def end_trial(self, error: str) -> None:
        """Note what is wrong with what is on trial: it has failed."""
        if self.on_trial:
            self._fail(error)

    def forgive(self) -> None:
        """Try again now."""
        self._ports.hurry()
        self._draft = replace(self._draft, retry=Retry(failures=self._draft.retry.failures))

    def clear(self) -> None:
        """Forget the draft: it became the head."""
        self._draft = Draft()

    def accept(self, look: Look) -> Look:
        """Make what was seen the head if it serves well; return the look with that as head.

        Return the same look where there is nothing to accept, or nothing that may be accepted yet.
        Raise BusyError if somebody goes on writing.
        """
        self._refused = tuple(
            Hold(reason="refused", message=f"{refusal.path}: {refusal.cause}", hint=refusal.hint)
            for refusal in look.refused
        )
        self._draft = self._found(look)
        return self._try(look) if self._draft.paths and not self._draft.hold else look

    def _found(self, look: Look) -> Draft:
        """Return what was seen as a draft: the one that is known, or a new one."""
        before = self._draft
        if look.refused or not look.draft:
            return Draft()
        if look.head is None and is_stock(look.live, self._rules):
            return Draft()
        again = before.tree == look.live
        if again and (before.until is not None or time.monotonic() < before.retry.due):
            return before
        return Draft(
            tree=look.live,
            paths=tuple(change.path for change in look.draft),
            hold=self.guard(look),
            retry=Retry(failures=before.retry.failures if again else 0),
        )

    def load(self, look: Look) -> None:
        """Serve what was seen and leave it a draft, unless that is held."""
        paths = tuple(change.path for change in look.draft)
        self._draft = Draft(tree=look.live, paths=paths, hold=self.guard(look))
        if self._draft.hold is None:
            self._ports.ensure(look.live)

    def load_unsettled(self) -> None:
        """Serve what lies there although it cannot be kept, unless a guard holds that."""
        hold = self.guard_unsettled()
        self._draft = Draft(hold=hold)
        if hold is None:
            self._ports.ensure(None)

    def guard_unsettled(self) -> Hold | None:
        """Return what a guard says against what lies there, by what is missing."""
        base, remains = self._workspace.remains()
        hold = guard(base, remains, self._rules)
        return replace(hold, release="") if hold else None

    def guard(self, look: Look) -> Hold | None:
        """Return why what was seen must not be accepted without a person's word."""
        released = self._decisions.state.released
        if hold := guard(look.base, look.live, self._rules, released):
            return hold
        doubt = self._doubt(look)
        return None if doubt is None or doubt.release == released else doubt

    def _doubt(self, look: Look) -> Hold | None:
        """Return what this node cannot know of what was seen."""
        if self._workspace.may_be_half:
            return Hold(
                reason="interrupted",
                message="the folders may be half of one configuration and half of another: "
                "a take-over was interrupted, and the journal of it is damaged",
                hint="compare them with `ha diff`; put them back with `ha rollback head`, "
                "or let them pass with `ha sync release`",
                release=fingerprint(look.live),
            )
        left_out = self._workspace.newly_left_out(look)
        if left_out is None:
            return None
        return Hold(
            reason="excluded",
            message=f"{printable(left_out)} was synced and is left out here now: "
            "the nodes that do not leave it out would delete it",
            hint="set HA_SYNC_EXCLUDE alike on every node, then `ha sync release`",
            release=fingerprint(look.live),
        )

    def _try(self, look: Look) -> Look:
        """Take what was seen one step further; see `accept`."""
        try:
            if not self.on_trial and not self._draft.error:
                if (wait := self._ports.cooldown(look.live)) > 0.0:
                    later = replace(self._draft.retry, due=time.monotonic() + wait)
                    self._draft = replace(self._draft, pending=True, retry=later)
                    return look
                self._begin_trial(look)
            return self._end_trial(look)
        except SidecarError as error:
            self._fail(error.line)
            return look

    def _begin_trial(self, look: Look) -> None:
        """Serve what was seen, and watch it from now on."""
        if error := self._ports.try_own(look.live):
            raise RefusedByServiceError(error)
        if changed := different(look.live, self._workspace.look().live):
            raise BusyError(min(changed))
        until = time.monotonic() + self._soak
        self._draft = replace(self._draft, pending=False, until=until)

    def _end_trial(self, look: Look) -> Look:
        """Keep what was on trial long enough and make it the head."""
        if self.on_trial and self._soak and (error := self._ports.well()):
            self.end_trial(error)
        if self._draft.until is None or time.monotonic() < self._draft.until:
            return look
        self._ports.check()
        kept = self._workspace.keep(look, self._node, time.time())
        self._workspace.history.set_head(kept.head)
        self.clear()
        return kept

    def _fail(self, error: str) -> None:
        retry = self._draft.retry.failed(self._pace, time.monotonic())
        self._draft = replace(self._draft, error=error, retry=retry, until=None)
