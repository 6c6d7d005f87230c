"""What nginx has read, beside what lies on disk now.

Trees may have many thousands of paths: what reads and compares them runs in a thread.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sidecar.core.cooldown import Cooldown
from sidecar.core.history.snapshot import Tree
from sidecar.core.nginx import Named
from sidecar.serving.reading import Reader, Reading, moved

SETTLED_AFTER: Final = 1.0
"""Seconds for which a file must rest where sync cannot say what is whole."""


class LoadedConfiguration:
    """What nginx has read, what that names, and how often something was loaded lately.

    Given: what reads the disk, the files that many write, and what asks for another look in some
    seconds.
    """

    def __init__(
        self, reader: Reader, *, shared: frozenset[Path], look_in: Callable[[float], None]
    ) -> None:
        self._reader, self._look_in = reader, look_in
        self.named = Named()
        """What else nginx has named with it."""
        self._reading: Reading | None = None
        self._glimpse: Reading | None = None
        """What was on disk at the last look, if that cannot be relied on yet."""
        self._glimpsed = float("-inf")
        """When that was, in monotonic seconds."""
        self._fresh = Cooldown(shared=frozenset(map(str, shared)))
        self._cooldown = self._fresh

    def __bool__(self) -> bool:
        """Whether nginx has read any."""
        return self._reading is not None

    async def look(self, tree: Tree | None) -> Reading:
        """Return what it would read now; given: the synced folders, if that is known."""
        return await asyncio.to_thread(self._reader.read, tree, self.named)

    async def learn(self, looked: Reading, names: Named) -> bool:
        """Remember what nginx has read, and what that names; return whether it names others."""
        self._reading = await asyncio.to_thread(self._reader.loaded, looked, names)
        new, self.named = names != self.named, names
        return new

    async def matches(self, looked: Reading) -> bool:
        """Tell whether nginx has read exactly that."""
        reading = self._reading
        if reading is None:
            return False
        if reading.tree is None and looked.tree is not None:
            whole = await self.look(None)
            same = await asyncio.to_thread(_same, whole, reading)
            # Nothing has moved since it was read, so the tree is known now.
            if same and self._reading is reading:
                self._reading = looked
            return same
        return await asyncio.to_thread(_same, looked, reading)

    async def lacks(self, looked: Reading) -> bool:
        """Tell whether there is anything at rest that nginx has not read.

        What moved between two looks is not, and waits; nothing is read for its sake alone.
        """
        now = time.monotonic()
        if (left := self._glimpsed + SETTLED_AFTER - now) > 0.0:
            self._look_in(left)
            return False
        before, self._glimpse, self._glimpsed = self._glimpse, looked, now
        restless = await asyncio.to_thread(moved, before, looked) if before else frozenset[str]()
        if before is None or restless:
            self._look_in(SETTLED_AFTER)
        reading = self._reading
        if before is None or reading is None or reading.tree is not None:
            return before is not None
        return await asyncio.to_thread(_differ, looked, reading, restless)

    # How often

    async def cooldown(self, looked: Reading) -> float:
        """Return the seconds until that should be loaded if nobody waits for it; 0 for now."""
        return await asyncio.to_thread(
            lambda: self._cooldown.wait(self._changed(looked), time.monotonic())
        )

    async def note_load(self, looked: Reading) -> None:
        """Remember that nginx was told to load that."""
        self._cooldown = await asyncio.to_thread(
            lambda: self._cooldown.after(self._changed(looked), time.monotonic())
        )

    def hurry(self) -> None:
        """Forget what was loaded lately: a person waits."""
        self._cooldown = self._fresh

    def _changed(self, looked: Reading) -> frozenset[str]:
        """Return the paths that nginx has not read as they are now."""
        return self._reading.changed(looked) if self._reading else frozenset()


def _same(one: Reading, other: Reading) -> bool:
    return one == other


def _differ(one: Reading, other: Reading, restless: frozenset[str]) -> bool:
    return one.at_rest(restless) != other.at_rest(restless)
