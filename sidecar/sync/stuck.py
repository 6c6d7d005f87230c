"""What keeps a pass from its end, or a file from being synced soon: logged once, and shown."""

import logging
import time
from collections.abc import Sequence
from typing import Final

from sidecar.core.history.change import printable
from sidecar.core.sync_report import Hold
from sidecar.errors import RefusedError, SidecarError

BUSY_SHOWN: Final = 10.0
"""Seconds without rest after which somebody has to know, and of rest after which it is over."""

log = logging.getLogger("sync")


class Stuck:
    """Knows it for the folders below `roots`."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = tuple(roots)
        self._busy_since: float | None = None
        self._named = float("-inf")
        """Monotonic time at which a path was last said to keep changing."""
        self.holds: tuple[Hold, ...] = ()
        """Empty after a pass that came to its end, once nothing has kept changing for a while."""

    def fail(self, error: SidecarError) -> None:
        """Note that a pass failed."""
        self._note(Hold(reason="failed", message=error.message, hint=error.hint))

    def busy(self, path: str) -> None:
        """Note that the folders never rest, e.g. since a log is written at `path`."""
        now = time.monotonic()
        self._busy_since = self._busy_since or now
        if now - self._busy_since >= BUSY_SHOWN:
            self.name(path)

    def name(self, path: str) -> None:
        """Say that what lies at `path` keeps changing."""
        self._named = time.monotonic()
        root = next((one for one in self._roots if path.startswith(f"{one}/")), path)
        relative = printable(path.removeprefix(root))
        leave_out = f", or exclude it: HA_SYNC_EXCLUDE={relative}" if relative else ""
        message = f"{printable(path)} keeps changing: it is synced late or not at all"
        hint = f"move it out of the folders{leave_out}"
        self._note(Hold(reason="busy", message=message, hint=hint))

    def rest(self, *, pending: bool) -> None:
        """Take it back: a pass came to its end.

        A look that is whole is no rest yet where a draft is still `pending`: what changes all the
        time may just have had a pause.
        """
        if not pending:
            self._busy_since = None
        elif self._is_named:
            self._named = time.monotonic()
        if not self._is_named or self._quiet_in() <= 0.0:
            self.holds = ()

    def waits(self) -> list[float]:
        """Return the seconds until nothing has kept changing for long enough, where it is shown."""
        return [self._quiet_in()] if self._is_named else []

    @property
    def _is_named(self) -> bool:
        return any(hold.reason == "busy" for hold in self.holds)

    def _quiet_in(self) -> float:
        return self._named + BUSY_SHOWN - time.monotonic()

    def _note(self, hold: Hold) -> None:
        if (hold,) != self.holds:
            log.error("%s; %s", hold.message, hold.hint)
        self.holds = (hold,)


def busy(what: str) -> RefusedError:
    """Return what to say where the folders do not rest."""
    return RefusedError(f"{what}: the folders are being changed", "try again")
