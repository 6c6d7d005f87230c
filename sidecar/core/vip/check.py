"""A health check that is not fooled by one answer."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The standing of one check after the answers so far.

    It goes down after `fall` failures in a row and up after `rise` successes. A check that has
    never succeeded counts at once, except where `earned`: then it counts only after it has been up
    once (a gateway that never answers cannot fail).
    """

    name: str
    fall: int
    rise: int
    hard: bool = False
    earned: bool = False
    up: bool | None = None
    streak: int = 0
    """Answers in a row that contradict `up`."""
    message: str = ""

    def after(self, error: str | None) -> "Check":
        """Return the check after one more answer; without an `error` it is a success."""
        good, message = error is None, error or ""
        if self.up is None:
            if self.earned and not good:
                return replace(self, message=message)
            return self._count(good, message, needed=1 if good else self.fall)
        if good == self.up:
            return replace(self, streak=0, message=message)
        return self._count(good, message, needed=self.rise if good else self.fall)

    def _count(self, good: bool, message: str, *, needed: int) -> "Check":
        streak = self.streak + 1
        if streak >= needed:
            return replace(self, up=good, streak=0, message=message)
        return replace(self, streak=streak, message=message)
