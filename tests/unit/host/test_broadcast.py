import asyncio

from sidecar.host.broadcast import Broadcast


async def test_everybody_who_waits_is_woken() -> None:
    changes = Broadcast()
    waiting = [asyncio.create_task(changes.wait_after(0)) for _ in range(3)]
    await asyncio.sleep(0)
    changes.announce()
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_what_came_before_the_wait_is_not_missed() -> None:
    changes = Broadcast()
    version = changes.version
    changes.announce()
    changes.announce()
    assert await changes.wait_after(version) == 2


async def test_a_wait_ends_in_time() -> None:
    changes = Broadcast()
    assert await changes.wait_after(0, within=0.01) == 0


async def test_what_is_looked_for_is_found_after_a_change() -> None:
    changes, found = Broadcast(), list[int]()
    waiting = asyncio.create_task(changes.wait_for(lambda: found, within=5))
    await asyncio.sleep(0)
    found.append(1)
    changes.announce()
    assert await waiting == [1]
    assert not await changes.wait_for(lambda: False, within=0.01)
