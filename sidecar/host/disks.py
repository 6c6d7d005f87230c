"""How much room is left on the disks that we write to."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.core.report import DiskReport

EVERY: Final = 30.0
"""Seconds between two looks."""


class Disks:
    """Asks the file systems of directories now and then: one that is gone may take its time."""

    def __init__(self, *directories: Path) -> None:
        self._directories = directories
        self._seen: tuple[DiskReport, ...] = ()

    def report(self) -> tuple[DiskReport, ...]:
        """Return what the last look showed."""
        return self._seen

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._seen = await asyncio.to_thread(lambda: tuple(look(*self._directories)))
            await asyncio.sleep(EVERY)


def look(*directories: Path) -> Iterator[DiskReport]:
    """Give the room on the file system of each directory that can be asked. Blocks."""
    for directory in directories:
        with suppress(OSError):
            found = os.statvfs(directory)
            yield DiskReport(
                path=str(directory),
                size=found.f_blocks * found.f_frsize,
                free=found.f_bavail * found.f_frsize,
            )
