"""How often nginx is reloaded by itself: what keeps changing is loaded less and less often."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

FORGET: Final = 1.5
"""Seconds of rest that make up for one reload."""

FIRST: Final = 2.0
"""Seconds of the first pause; each one that follows is twice as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often one thing was loaded lately. Times are monotonic seconds."""

    free: float
    """Reloads that nothing delays, however close together."""
    most: float
    """The longest pause, in seconds."""
    last: float = float("-inf")
    """The last reload."""
    level: float = 0.0
    """Reloads that have not been made up for."""

    def wait(self, now: float) -> float:
        """Return the seconds until the next reload may come; 0 for now."""
        return min(self._pause, max(0.0, self.last + self._pause - now))

    def after(self, now: float) -> "Pace":
        """Return the pace after a reload."""
        return replace(self, last=now, level=self._left(now) + 1.0)

    def forgotten(self, now: float) -> bool:
        """Tell whether it is as if it had never been loaded."""
        return self._left(now) == 0.0

    def _left(self, now: float) -> float:
        rest = max(0.0, now - self.last - self._pause)
        return max(0.0, self.level - rest / FORGET)

    @property
    def _pause(self) -> float:
        over = self.level - self.free
        return min(self.most, FIRST * 2.0**over) if over >= 0.0 else 0.0


PATH: Final = Pace(free=2.0, most=30.0)
SHARED: Final = Pace(free=2.0, most=2.0)
"""For a file that many write: whoever changes it again and again delays the others little."""
ALL: Final = Pace(free=10.0, most=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """What was loaded lately, by path.

    A person's edits pass, one file after the other, while a file that is written each second is
    loaded after 0, 1, 2, 3, 5, 9, 17, 33 … seconds, and whatever happens, at most one reload
    in two seconds goes on for long.
    """

    paths: Mapping[str, Pace] = field(default_factory=dict[str, Pace])
    shared: frozenset[str] = frozenset()
    """Paths with the pace of `SHARED`."""
    overall: Pace = ALL

    def wait(self, changed: Collection[str], now: float) -> float:
        """Return the seconds until those changes may be loaded; 0 for now."""
        shortest = min((self._pace(path).wait(now) for path in changed), default=0.0)
        return max(shortest, self.overall.wait(now))

    def after(self, changed: Collection[str], now: float) -> "Cooldown":
        """Return the cooldown after those changes were loaded."""
        recent = {path: pace for path, pace in self.paths.items() if not pace.forgotten(now)}
        loaded = {path: self._pace(path).after(now) for path in changed}
        return replace(self, paths=recent | loaded, overall=self.overall.after(now))

    def _pace(self, path: str) -> Pace:
        return self.paths.get(path, SHARED if path in self.shared else PATH)
