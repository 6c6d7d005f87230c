"""What somebody is just writing: whoever read it now would find half of it, or nothing."""

from typing import Final

Place = tuple[int, bytes]
"""A directory, by its watch descriptor, and a name in it."""

CLOSES_WITHIN: Final = 1.0
"""Seconds from the first write to a file in which it is closed; what stays open is a log."""

COMES_BACK_WITHIN: Final = 0.2
"""Seconds in which a name that is gone comes back, if it is being replaced."""


class Writers:
    """What is unfinished in a burst of changes. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._written: dict[Place, float] = {}
        """When files that are still open were first written to."""
        self._gone: dict[Place, float] = {}
        """When names were removed."""
        self._came: set[Place] = set()
        """Names that are new in this burst, so that nobody misses them."""

    @property
    def finished_at(self) -> float:
        """When all is whole if nothing more happens."""
        written = max(self._written.values(), default=float("-inf")) + CLOSES_WITHIN
        gone = max(self._gone.values(), default=float("-inf")) + COMES_BACK_WITHIN
        return max(written, gone)

    def write(self, place: Place, now: float) -> None:
        """Note that a file was written to."""
        self._written.setdefault(place, now)

    def close(self, place: Place) -> bool:
        """Note that a file that was open for writing was closed; tell whether it was written to."""
        return self._written.pop(place, None) is not None

    def come(self, place: Place) -> None:
        """Note that a name was created, or moved there."""
        self._written.pop(place, None)
        if self._gone.pop(place, None) is None:
            self._came.add(place)

    def go(self, place: Place, now: float) -> None:
        """Note that a name was removed, or moved away."""
        self._written.pop(place, None)
        if place in self._came:
            self._came.remove(place)
        else:
            self._gone[place] = now

    def rest(self) -> None:
        """Note that the burst has ended."""
        self._gone.clear()
        self._came.clear()
