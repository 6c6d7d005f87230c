"""Notices that files change which nginx reads, wherever its configuration says that they are."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from sidecar.host.watch import changes

Places = tuple[tuple[Path, ...], frozenset[Path]]
"""Directories with all that is below, and single files or directories."""


async def watch(
    places: Callable[[], Places], moved: asyncio.Event, tell: Callable[[], None]
) -> None:
    """Call `tell` after each change in `places`, which are asked for again once `moved` is set.

    `places` blocks.
    """
    while True:
        moved.clear()
        roots, single = await asyncio.to_thread(places)
        following = asyncio.create_task(_follow(roots, single, tell), name="serving follow")
        moving = asyncio.create_task(moved.wait(), name="serving moved")
        try:
            await asyncio.wait({following, moving}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            for task in (following, moving):
                task.cancel()
            await asyncio.gather(following, moving, return_exceptions=True)


async def _follow(
    roots: tuple[Path, ...], single: frozenset[Path], tell: Callable[[], None]
) -> None:
    if not roots and not single:
        await asyncio.Event().wait()
    async with aclosing(changes(*roots, single=single)) as told:
        async for _ in told:
            tell()
