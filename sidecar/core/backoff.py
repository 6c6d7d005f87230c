"""How long to wait before the next try."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential delays: nothing `free` times, `first`, then doubling up to `most` (seconds).

    The first restart of a program that was well is immediate: a crashed nginx is back before
    a peer could take over.
    """

    first: float = 0.5
    most: float = 30.0
    jitter: float = 0.1
    """Share of the delay that chance may add."""
    free: int = 1
    """Failures in a row that are followed by another try at once."""
    attempts: int = 8
    """Failures in a row after which to give up."""

    def delay(self, failures: int, chance: float = 0.0) -> float:
        """Return the seconds to wait after `failures` in a row; `chance` is in [0, 1)."""
        over = failures - self.free
        if over <= 0:
            return 0.0
        # The exponent is bounded: the delay has long met its cap, and a float would overflow.
        pause = min(self.first * 2.0 ** min(over - 1, 60), self.most)
        return pause * (1 + self.jitter * chance)

    def exhausted(self, failures: int) -> bool:
        """Tell whether so many failures in a row are enough."""
        return failures >= self.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often something has failed in a row, and when it is tried again."""

    failures: int = 0
    due: float = float("-inf")
    """Time of the next try, on the clock of who asks."""

    def failed(self, pace: Backoff, now: float) -> "Retry":
        """Return what follows another failure: later each time."""
        failures = max(self.failures, 0) + 1
        return Retry(failures=failures, due=now + pace.delay(failures))
