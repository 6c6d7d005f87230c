"""Few are synced one by one; many at once, where the file system does that."""

import os
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from sidecar.host.flush import MANY, WHOLE, flush
from sidecar.host.mounts import type_of


@pytest.mark.parametrize("count", [0, 1, MANY - 1, MANY])
@pytest.mark.parametrize("place", ["/proc", "/tmp"])
def test_all_are_synced_one_by_one_or_with_their_file_system(place: str, count: int) -> None:
    done = Counter[int]()
    syncs = [partial(done.update, [number]) for number in range(count)]
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        whole = count >= MANY and type_of(directory) in WHOLE
        flush(syncs, [directory])
    finally:
        os.close(directory)
    assert done == (Counter() if whole else Counter(range(count)))


def test_one_file_system_that_cannot_means_one_by_one(tmp_path: Path) -> None:
    done: list[int] = []
    syncs = [partial(done.append, one) for one in range(MANY)]
    places = [os.open(place, os.O_RDONLY | os.O_DIRECTORY) for place in (tmp_path, "/proc")]
    try:
        flush(syncs, places)
    finally:
        for place in places:
            os.close(place)
    assert sorted(done) == [*range(MANY)]


@pytest.mark.parametrize("count", [1, MANY])
def test_what_cannot_be_synced_is_told(count: int) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    directory = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="Input/output"):
            flush([fail] * count, [directory])
    finally:
        os.close(directory)
