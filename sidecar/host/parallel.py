"""Work that waits for the disk, some of it at once: what waits together is written together."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

WRITERS: Final = 8
"""Threads that wait at the same time."""


def for_each[T](work: Callable[[T], object], items: Iterable[T]) -> None:
    """Do the same with every item; wait for all, and raise the first failure."""
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(work, item) for item in items]:
            done.result()
