"""What is written here: tried, and kept as a snapshot if it serves well.

    seen ── guarded ────────────────────────────► held, until a release
     │
     └─► served ── refused, or not well ────────► failed, tried again later or when it changes
            │
            └─► on trial for the soak ── well ──► kept: the head

A trial holds nobody up: whatever changes the folders meanwhile ends it, and that is no failure.
"""

import logging
import time
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.core.backoff import Backoff, Retry
from sidecar.core.history.change import different, printable, summarise
from sidecar.core.history.guard import Rules, guard, is_restored, is_stock
from sidecar.core.history.manifest import fingerprint
from sidecar.core.history.retention import newest_first
from sidecar.core.history.snapshot import Tree
from sidecar.core.sync_report import Hold
from sidecar.errors import SidecarError
from sidecar.sync.decisions import Aside, Decisions
from sidecar.sync.past import Past
from sidecar.sync.ports import Ports
from sidecar.sync.workspace import BusyError, Look, RefusedByServiceError, Workspace

log = logging.getLogger("sync")

LATE: Final = 10.0
"""Seconds that a draft has to wait of which somebody should know."""


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
    late: bool = False
    """That while is long, since it changed again and again."""
    restless: str = ""
    """A path that has changed since the draft was first seen."""
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
        self.unseen = True
        """The folders may have been changed while this node was down."""

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs from the head."""
        return self._draft.paths

    @property
    def pending(self) -> bool:
        """It has not been tried: what changed lately waits for a while without much change."""
        return self._draft.pending

    @property
    def late(self) -> str | None:
        """A path that has changed again and again, so that it has to wait for long now."""
        return (self._draft.restless or self._draft.paths[0]) if self._draft.late else None

    @property
    def error(self) -> str:
        """Why that does not serve."""
        return self._draft.error

    @property
    def held(self) -> Hold | None:
        """What a guard holds, and `ha sync release` approves."""
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
        if self._draft.hold is None and not look.refused:
            self.unseen = False
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
        changed = min(different(before.tree, look.live), default="") if before.tree else ""
        return Draft(
            tree=look.live,
            paths=tuple(change.path for change in look.draft),
            restless=changed or before.restless,
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
        """Serve the folders although they cannot become a snapshot, unless a guard holds them."""
        hold = self.guard_unsettled()
        self._draft = Draft(hold=hold)
        if hold is None:
            self._ports.ensure(None)

    def put_back(self, look: Look, error: str | None) -> bool:
        """Put the head in place of what was seen if that is held, or refused with an `error`.

        It becomes a snapshot, and is named before it goes: a crash in between leaves it known.
        Return whether there was anything to do. Raise BusyError or SidecarError.
        """
        hold = self.guard(look)
        if hold is None and error is not None and look.draft:
            hold = Hold(reason="refused-at-start", message=error)
        if hold is None or self._workspace.on_disk(look.base) == look.live:
            return False
        aside = self._known_aside(look) or self._set_aside(look, hold)
        try:
            self._workspace.put_back(look)
        except (BusyError, SidecarError):
            self._decisions.drop_aside(aside.snapshot)
            raise
        self.clear()
        log.warning("%s; %s", aside.hold.message, aside.hold.hint)
        return True

    def _known_aside(self, look: Look) -> Aside | None:
        """Return what a start set aside before, and a crash kept it from putting back."""
        headers, tree = self._workspace.history.headers(), fingerprint(look.live)
        found = (one for one in self._decisions.state.aside if one.snapshot in headers)
        return next((one for one in found if headers[one.snapshot].tree == tree), None)

    def _set_aside(self, look: Look, hold: Hold) -> Aside:
        summary = f"set aside ({hold.reason}): {summarise(look.draft, self._workspace.roots)}"
        kept = self._workspace.keep(look, self._node, time.time(), summary)
        assert kept.head is not None
        message = f"{hold.message}: nginx started with the last good state"
        aside = Aside(snapshot=kept.head, reason=hold.reason, message=message)
        self._decisions.set_aside(aside)
        return aside

    def guard_unsettled(self) -> Hold | None:
        """Return the hold for what is missing from the folders, if any."""
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
        if left_out is not None:
            return Hold(
                reason="excluded",
                message=f"{printable(left_out)} was synced and is now excluded here: "
                "nodes that do not exclude it would delete it",
                hint="set the same HA_SYNC_EXCLUDE on every node, then `ha sync release`",
                release=fingerprint(look.live),
            )
        if self.unseen and self._is_restored(look):
            return Hold(
                reason="restored",
                message="files were put back to earlier versions while this node did not run: "
                "was a backup restored?",
                hint="`ha rollback head` brings back the newer ones; `ha sync release` puts "
                "the earlier ones on every node",
                release=fingerprint(look.live),
            )
        return None

    def _is_restored(self, look: Look) -> bool:
        if look.head is None:
            return False
        history = self._workspace.history
        headers, past = history.headers(), Past(history)
        before = history.graph().ancestors(look.head) & headers.keys()
        names = newest_first({name: headers[name] for name in before})
        prints = {headers[name].tree for name in before}
        trees = (found.tree for name in names if (found := past.get(name)) is not None)
        return is_restored(look.draft, look.live, prints, trees)

    def _try(self, look: Look) -> Look:
        """Take what was seen one step further; see `accept`."""
        try:
            if not self.on_trial and not self._draft.error:
                if (wait := self._ports.cooldown(look.live)) > 0.0:
                    later = replace(self._draft.retry, due=time.monotonic() + wait)
                    late = wait >= LATE
                    self._draft = replace(self._draft, pending=True, late=late, retry=later)
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
        self._draft = replace(self._draft, pending=False, late=False, until=until)

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
        self._draft = replace(
            self._draft, error=error, pending=False, late=False, retry=retry, until=None
        )
