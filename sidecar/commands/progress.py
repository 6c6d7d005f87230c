"""Shows in a terminal that long work goes on."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

QUIET: Final = 2.0
"""Seconds before anything is said."""

_CLEAR: Final = "\r\x1b[K"
"""Goes to the begin of the line and clears it (ECMA-48)."""


@contextmanager
def progress(what: str, *, quiet: float = QUIET) -> Iterator[None]:
    """Count the seconds of `what` on standard error if it is a terminal; leave nothing there."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    counting = threading.Thread(target=_count, args=(what, quiet, done), daemon=True)
    counting.start()
    try:
        yield
    finally:
        done.set()
        counting.join()


def _count(what: str, quiet: float, done: threading.Event) -> None:
    begun = time.monotonic()
    said = False
    while not done.wait(quiet if not said else 1.0):
        said = True
        passed = time.monotonic() - begun
        text = f"{_CLEAR}{what}: {passed:.0f} s … Ctrl-C stops waiting, not the work"
        print(text, end="", file=sys.stderr, flush=True)
    if said:
        print(_CLEAR, end="", file=sys.stderr, flush=True)
