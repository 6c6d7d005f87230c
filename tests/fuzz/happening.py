"""What happens to a cluster, as a value."""

from collections.abc import Callable
from dataclasses import dataclass, replace

Operation = tuple[int, str, int, int, int]
"""When it happens, what does, to which node, and two numbers that say how."""


class ViolationError(AssertionError):
    """Something that must be true is not."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """What happens to how many nodes."""

    size: int
    operations: tuple[Operation, ...]


def shrink[T: Happening](history: T, fails: Callable[[T], bool]) -> T:
    """Return a part of a history that still fails: no operation can be left out of it."""
    size = len(history.operations)
    while size:
        before, at = history, 0
        while at < len(history.operations):
            less = _without(history, at, size)
            if fails(less):
                history = less
            else:
                at += size
        if size > 1 or history == before:
            size //= 2
    return history


def _without[T: Happening](history: T, at: int, count: int) -> T:
    return replace(history, operations=history.operations[:at] + history.operations[at + count :])
