import asyncio
import os
from pathlib import Path

from sidecar.host.disks import Disks, look


def test_the_room_on_a_disk_is_what_a_user_of_it_has(tmp_path: Path) -> None:
    (disk,) = look(tmp_path)
    usage = os.statvfs(tmp_path)
    assert (disk.path, disk.size) == (str(tmp_path), usage.f_blocks * usage.f_frsize)
    assert 0 < disk.free <= disk.size


def test_a_directory_that_is_gone_is_left_out(tmp_path: Path) -> None:
    assert [disk.path for disk in look(tmp_path / "gone", tmp_path)] == [str(tmp_path)]


async def test_disks_are_looked_at_by_a_part(tmp_path: Path) -> None:
    disks = Disks(tmp_path)
    assert disks.report() == ()
    part = asyncio.create_task(disks.run())
    async with asyncio.timeout(5):
        while not disks.report():
            await asyncio.sleep(0.01)
    part.cancel()
    assert [disk.path for disk in disks.report()] == [str(tmp_path)]
