"""How often nginx is reloaded by itself: at once at first, then less and less while it goes on."""

from dataclasses import dataclass, replace
from typing import Final

FREE: Final = 2.0
"""Reloads that nothing delays, however close together."""

FIRST: Final = 2.0
MOST: Final = 30.0
"""Seconds between two reloads: of the first that is delayed, and at most."""

FORGET: Final = 1.5
"""Seconds of rest that make up for one reload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """What was reloaded lately. Times are monotonic seconds.

    A person's edits pass, while a file that is written each second leads to reloads after 0, 1, 2,
    3, 5, 9, 17, 33 … seconds.
    """

    last: float = float("-inf")
    """The last reload."""
    level: float = 0.0
    """Reloads that have not been made up for."""

    def wait(self, now: float) -> float:
        """Return the seconds until the next reload may come; 0 for now."""
        return min(self._pause, max(0.0, self.last + self._pause - now))

    def after(self, now: float) -> "Cooldown":
        """Return the cooldown after a reload."""
        rest = max(0.0, now - self.last - self._pause)
        return replace(self, last=now, level=max(0.0, self.level - rest / FORGET) + 1.0)

    @property
    def _pause(self) -> float:
        over = self.level - FREE
        return min(MOST, FIRST * 2.0**over) if over >= 0.0 else 0.0
