"""A crash at any moment, and one in the way back, leaves the old tree or the new one."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.host.rename import Renamer
from sidecar.sync.recover import Recovery, forget
from tests.unit.sync.applying import CrashError, World, all_the_way, crash_at, one_more
from tests.unit.sync.folder import told


def checkpoints(directory: Path, native: bool) -> list[str]:
    directory.mkdir()
    world = World(directory)
    world.renamer = Renamer(native=native)
    names: list[str] = []
    all_the_way(world.apply(names.append))
    return names


@pytest.mark.parametrize("native", [True, False])
def test_after_a_crash_anywhere_the_tree_is_the_old_or_the_new_one(
    tmp_path: Path, native: bool
) -> None:
    names = checkpoints(tmp_path / "names", native)
    for number, name in enumerate(names):
        world = World(one_more(tmp_path))
        world.renamer = Renamer(native=native)
        with pytest.raises(CrashError):
            all_the_way(world.apply(crash_at(number)))
        done = names.index("done") <= number
        recovery = world.recover()
        if name == "finished":
            assert recovery is None
        else:
            assert recovery == Recovery(done=done, before="b" * 64, after="a" * 64)
        assert told(world.root) == (world.new if done else world.old), name
        forget(world.directory)
        assert world.recover() is None


def test_a_recovery_may_crash_as_well(tmp_path: Path) -> None:
    names = checkpoints(tmp_path / "names", native=True)
    for first in range(0, len(names), 11):
        done = names.index("done") <= first
        for second in itertools.count(0, 7):
            world = World(one_more(tmp_path))
            with pytest.raises(CrashError):
                all_the_way(world.apply(crash_at(first)))
            try:
                world.recover(crash_at(second))
            except CrashError:
                world.recover()
                assert told(world.root) == (world.new if done else world.old)
            else:
                break


def test_a_crash_between_the_renames_of_an_exchange_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    for number in range(30):
        world = World(one_more(tmp_path))
        world.renamer = Renamer(native=False)
        count = itertools.count()

        def failing(
            source: str,
            target: str,
            *,
            src_dir_fd: int,
            dst_dir_fd: int,
            count: Iterator[int] = count,
            number: int = number,
        ) -> None:
            if next(count) == number:
                raise CrashError
            rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        with monkeypatch.context() as patch, contextlib.suppress(CrashError):
            patch.setattr("sidecar.host.rename.os.rename", failing)
            world.apply().write()
        world.recover()
        assert told(world.root) == world.old
