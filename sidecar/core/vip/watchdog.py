"""Whether keepalived works: it shows signs of life, and it does what it is told.

One that hangs as MASTER sends no adverts, so a peer takes over; but its address stays on the NIC.
"""

from dataclasses import dataclass
from typing import Final

HANGS_AFTER: Final = 2.0
"""Seconds without a sign of life, or without obeying, after which it must be ended."""

LONGEST_STEP: Final = 0.75
"""Seconds that count at most between two looks: a daemon that was frozen saw nothing either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """What is known of one run of keepalived; times are seconds of a monotonic clock."""

    looked: float
    heard: bool = False
    """It has shown life once, so it can."""
    silent: float = 0.0
    """Seconds since the last sign of life."""
    defiant: float = 0.0
    """Seconds that it has been MASTER against its verdict."""

    @property
    def asks(self) -> bool:
        """Whether to ask for a sign of life; not too early, since one that starts dies of it."""
        return self.silent >= HANGS_AFTER or (self.heard and self.silent > 0)

    @property
    def hangs(self) -> bool:
        """Whether it must be ended."""
        return (self.heard and self.silent >= HANGS_AFTER) or self.defiant >= HANGS_AFTER

    def after(self, now: float, *, running: bool, heard: bool, obeys: bool) -> "Watchdog":
        """Return what is known after a look at `now`."""
        if not running:
            return Watchdog(looked=now)
        step = min(now - self.looked, LONGEST_STEP)
        return Watchdog(
            looked=now,
            heard=heard or self.heard,
            silent=0.0 if heard else self.silent + step,
            defiant=0.0 if obeys else self.defiant + step,
        )
