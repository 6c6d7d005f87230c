"""What still works when no descriptor is left."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.core.report import Role
from sidecar.core.vip.election import Verdict
from sidecar.host import files
from sidecar.host.broadcast import Broadcast
from sidecar.host.descriptors import ENOUGH, Reserve, raise_limit
from sidecar.programs import keepalived
from sidecar.vital.vrrp import Vrrp


@contextmanager
def none_left() -> Iterator[None]:
    """Use up all descriptors, of few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_reserve_is_for_who_finds_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file"
    reserve = Reserve()
    with none_left():
        with pytest.raises(OSError, match="Too many open files"):
            files.write(path, "1")
        for content in ("1", "2", "3"):
            reserve.run(lambda content=content: files.write(path, content))  # type: ignore[misc]
    assert path.read_text() == "3"
    reserve.close()


def test_another_error_is_not_the_reserves() -> None:
    with pytest.raises(FileNotFoundError):
        Reserve().run(lambda: os.open("/no/such/file", os.O_RDONLY))


def test_the_limit_is_raised_to_what_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(hard, ENOUGH), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def vrrp(tmp_path: Path) -> Vrrp:
    async def render() -> str:
        return ""

    return Vrrp(
        keepalived.Files.below(tmp_path), Broadcast(), render=render, on_role=lambda _role: None
    )


def test_keepalived_is_told_without_a_free_descriptor(vrrp: Vrrp, tmp_path: Path) -> None:
    with none_left():
        vrrp.tell(Verdict(health=1, preference=0))
        vrrp.beat()
        vrrp._become(Role.MASTER)
    told = keepalived.Files.below(tmp_path)
    assert told.health.read_text() == "1\n"
    assert told.master.exists()
    assert int(told.heartbeat.read_text()) > 0


def test_what_keepalived_could_not_be_told_is_told_later(
    vrrp: Vrrp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = keepalived.Files.below(tmp_path)
    vrrp._become(Role.MASTER)
    aside = told.directory.rename(tmp_path / "aside")
    told.directory.write_text("no directory: nothing can be written below")
    vrrp.tell(Verdict(health=1, preference=0))
    vrrp.tell(Verdict(health=1, preference=-100))
    vrrp._become(Role.BACKUP)
    assert [str(told.health) in line for line in caplog.messages].count(True) == 1
    told.directory.unlink()
    aside.rename(told.directory)
    vrrp.beat()
    assert (told.health.read_text(), told.preference.read_text()) == ("1\n", "-100\n")
    assert not told.master.exists()
