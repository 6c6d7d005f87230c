"""What is written here: tried, and kept as a snapshot if it serves well."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.core.backoff import Backoff
from sidecar.core.change import different, printable
from sidecar.core.guard import Rules, guard, is_stock
from sidecar.core.snapshot import Tree, fingerprint
from sidecar.core.sync import Hold
from sidecar.errors import SidecarError
from sidecar.sync.decisions import Decisions
from sidecar.sync.served import Served
from sidecar.sync.workspace import BusyError, Look, RefusedByServiceError, Workspace

SOAK_STEP: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What differs from the head and is not accepted."""

    tree: Tree = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    hold: Hold | None = None
    error: str = ""
    """Why it does not serve."""
    failures: int = 0
    retry: float = 0.0
    """Monotonic time from which the same tree is tried again."""


class Drafts:
    """Accepts what is written here.

    Given: the folders, the rules, who serves, what was released, the own address, the seconds of
    good service that a draft needs, and the pace at which one that failed is tried again.
    """

    def __init__(
        self,
        workspace: Workspace,
        rules: Rules,
        served: Served,
        decisions: Decisions,
        *,
        node: str,
        soak: float,
        pace: Backoff,
    ) -> None:
        self._workspace, self._rules, self._served = workspace, rules, served
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

    def waits(self) -> list[float]:
        """Return the seconds until a draft that failed is tried again."""
        return [self._draft.retry - time.monotonic()] if self._draft.error else []

    def forgive(self) -> None:
        """Try again now."""
        self._draft = replace(self._draft, retry=0.0)

    def clear(self) -> None:
        """Forget the draft: it became the head."""
        self._draft = Draft()

    async def accept(self, look: Look) -> Look:
        """Make what was seen the head if it serves well; return the look with that as head.

        Return the same look where there is nothing to accept, or nothing that may be accepted.
        Raise BusyError if somebody goes on writing.
        """
        self._refused = tuple(
            Hold(reason="refused", message=f"{refusal.path}: {refusal.cause}", hint=refusal.hint)
            for refusal in look.refused
        )
        before, self._draft = self._draft, Draft()
        if look.refused or not look.draft:
            return look
        if look.head is None and is_stock(look.live, self._rules):
            return look
        again = before.tree == look.live
        if again and time.monotonic() < before.retry:
            self._draft = before
            return look
        self._draft = Draft(
            tree=look.live,
            paths=tuple(change.path for change in look.draft),
            hold=self._guard(look),
            failures=before.failures if again else 0,
        )
        if self._draft.hold:
            return look
        try:
            return await self._try(look)
        except SidecarError as error:
            failures = self._draft.failures + 1
            retry = time.monotonic() + self._pace.delay(failures + 1, 0.0)
            self._draft = replace(self._draft, error=error.line, failures=failures, retry=retry)
            return look

    def _guard(self, look: Look) -> Hold | None:
        """Return why what was seen must not be accepted without a person's word."""
        released = self._decisions.state.released
        hold = guard(look.base, look.live, self._rules, released)
        left_out = self._workspace.newly_left_out(look.draft)
        if hold or left_out is None:
            return hold
        tree = fingerprint(look.live)
        if tree == released:
            return None
        return Hold(
            reason="excluded",
            message=f"{printable(left_out)} was synced and is left out here now: "
            "the nodes that do not leave it out would delete it",
            hint="set HA_SYNC_EXCLUDE alike on every node, then `ha sync release`",
            release=tree,
        )

    async def _try(self, look: Look) -> Look:
        """Serve what was seen, keep it, make it the head; raise SidecarError if that fails."""
        if error := await self._serve_well():
            raise RefusedByServiceError(error)
        if changed := different(look.live, (await self._workspace.look()).live):
            raise BusyError(min(changed))
        kept = await self._workspace.keep(look, self._node, time.time())
        await asyncio.to_thread(self._workspace.history.set_head, kept.head)
        self.clear()
        return kept

    async def _serve_well(self) -> str:
        """Serve what lies in the folders for the time of the soak; return why that did not work."""
        if error := await self._served.try_own():
            return error
        deadline = time.monotonic() + self._soak
        while time.monotonic() < deadline:
            await asyncio.sleep(SOAK_STEP)
            if error := self._served.well():
                return error
        return ""
