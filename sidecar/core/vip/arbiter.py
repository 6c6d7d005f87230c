"""Split brain: two linked nodes that are both MASTER, because adverts do not get through.

The less preferred one steps aside (FAULT) and stays aside as long as the link shows a MASTER and no
adverts arrive; in FAULT keepalived ignores adverts, so the daemon listens for them itself.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sidecar.core.report import Role

TOLERANCE: Final = 3.0
"""Seconds during which two MASTERs may be a handover that the link shows late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arbiter:
    """The state of the arbitration; `since` is when (s) two MASTERs were first seen."""

    since: float | None = None
    aside: bool = False

    def split(self, now: float) -> bool:
        """Tell whether this is a split brain and no longer a handover."""
        return self.aside or (self.since is not None and now - self.since >= TOLERANCE)

    def after(
        self,
        now: float,
        *,
        index: int,
        role: Role,
        masters: Collection[int],
        adverts_heard: bool,
    ) -> "Arbiter":
        """Return the next state, given the indices of the linked peers that are MASTER."""
        if not masters:
            return Arbiter()
        if self.aside:
            return Arbiter() if adverts_heard else self
        if role is not Role.MASTER:
            return Arbiter()
        since = now if self.since is None else self.since
        loses = min(masters) < index
        return Arbiter(since=since, aside=loses and now - since >= TOLERANCE)
