"""File descriptors: as many as we may have, and some kept for what must not fail."""

import errno
import os
import resource
from collections.abc import Callable
from typing import Final

ENOUGH: Final = 65_536
"""What we ask for; more only makes programs slow that close all that could be open."""

NONE_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors that say nothing about what was asked, only about this machine at this moment."""

_RESERVED: Final = 4


def raise_limit() -> None:
    """Allow us, and the programs that we start, as many descriptors as the container may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Reserve:
    """Holds some descriptors, and gives them up to who finds no other."""

    def __init__(self) -> None:
        self._kept: list[int] = []
        self._fill()

    def run[T](self, action: Callable[[], T]) -> T:
        """Return what `action` does; where it finds no descriptor, with some of ours."""
        try:
            return action()
        except OSError as error:
            if error.errno not in NONE_LEFT:
                raise
        self.close()
        try:
            return action()
        finally:
            self._fill()

    def close(self) -> None:
        """Give all up."""
        while self._kept:
            os.close(self._kept.pop())

    def _fill(self) -> None:
        try:
            while len(self._kept) < _RESERVED:
                self._kept.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:  # they are missed only where others are missed too
            return
