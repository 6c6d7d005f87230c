"""Who is still writing: whoever read a file now would find half of it, or nothing."""

from typing import Final

File = tuple[int, bytes]
"""A file as inotify(7) names it: the watch descriptor of its directory, and its name there."""

CLOSES_WITHIN: Final = 1.0
"""Seconds from the first write to a file in which it is closed; what stays open is a log."""

GOES_ON_WITHIN: Final = 0.2
"""Seconds after which an open file is written to again, or one that vanished is replaced."""

_NEVER: Final = float("-inf")


class Writers:
    """The files that are unfinished in a burst of changes. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._open: dict[File, tuple[float, float]] = {}
        """When those that are still open were first and last written to."""
        self._vanished: dict[File, float] = {}
        """When names were removed."""
        self._new: set[File] = set()
        """Those that did not exist before this burst, so that nobody misses them."""

    @property
    def finished_at(self) -> float:
        """When all is whole if nothing more happens."""
        closed = (
            max(first + CLOSES_WITHIN, last + GOES_ON_WITHIN) for first, last in self._open.values()
        )
        replaced = max(self._vanished.values(), default=_NEVER) + GOES_ON_WITHIN
        return max(replaced, *closed, _NEVER)

    def write(self, file: File, now: float) -> None:
        """Note that a file was written to."""
        first, _ = self._open.get(file, (now, now))
        self._open[file] = first, now

    def close(self, file: File) -> None:
        """Note that a file that was open for writing was closed."""
        self._open.pop(file, None)

    def create(self, file: File) -> None:
        """Note that a name was created."""
        if file not in self._vanished:
            self._new.add(file)
        self.arrive(file)

    def arrive(self, file: File) -> None:
        """Note that a file was moved to a name, whatever had that before."""
        self._open.pop(file, None)
        self._vanished.pop(file, None)

    def vanish(self, file: File, now: float) -> None:
        """Note that a name was removed, or moved away."""
        self._open.pop(file, None)
        if file in self._new:
            self._new.remove(file)
        else:
            self._vanished[file] = now

    def forget(self, directory: int) -> None:
        """Note that a directory is no longer watched."""
        for file in [file for file in self._open if file[0] == directory]:
            del self._open[file]

    def end_burst(self) -> None:
        """Note that all of it was told."""
        self._vanished.clear()
        self._new.clear()
