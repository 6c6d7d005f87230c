"""The vital scope in this process, with programs that fail when they are told to."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from sidecar.core.backoff import Backoff
from sidecar.core.report import Role
from sidecar.core.settings import Identity
from sidecar.daemon.build import Components, build
from sidecar.daemon.lifecycle import Lifecycle
from sidecar.errors import ExitCode
from sidecar.host import process
from sidecar.host.loop import Turns
from sidecar.host.network import Network
from sidecar.host.paths import Paths
from tests.integration.daemon.programs import VIP, Programs
from tests.unit.settings.example import load_with

OWN, PEER = "192.0.2.21", "192.0.2.22"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    directory = Path(tempfile.mkdtemp(prefix="programs-"))
    path = f"{directory}:{process.MINIMAL_ENVIRONMENT['PATH']}"
    monkeypatch.setitem(process.MINIMAL_ENVIRONMENT, "PATH", path)
    yield Programs(directory)
    shutil.rmtree(directory)


@pytest.fixture
def paths() -> Iterator[Paths]:
    directory = Path(tempfile.mkdtemp(prefix="daemon-", dir="/run"))
    paths = Paths(
        nginx=directory / "nginx",
        state=directory / "state",
        run=directory / "run",
        config=Path("/src/config"),
    )
    for place in (paths.nginx, paths.state, paths.run):
        place.mkdir()
    yield paths
    shutil.rmtree(directory)


class Run:
    """A node in this process."""

    def __init__(self, parts: Components) -> None:
        self.parts = parts
        self.stop = asyncio.Event()
        self.result = asyncio.create_task(self._run())

    async def _run(self) -> int:
        return await Lifecycle(self.parts).run(asyncio.create_task(_set(self.stop)))

    async def end(self) -> int:
        """Stop it; return the exit code."""
        self.stop.set()
        return await asyncio.wait_for(self.result, 20)

    async def until(self, what: Callable[[], object], *, within: float = 10.0) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within):
            while not what():
                assert not self.result.done(), self.result
                await asyncio.sleep(0.01)

    @property
    def is_master(self) -> bool:
        return self.parts.vrrp.role is Role.MASTER and self.holds

    @property
    def holds(self) -> bool:
        return bool(self.parts.vips.held)


async def _set(event: asyncio.Event) -> bool:
    return await event.wait()


@pytest.fixture
def address() -> Iterator[None]:
    subprocess.run(["ip", "address", "replace", f"{OWN}/32", "dev", "lo"], check=True)
    yield
    subprocess.run(["ip", "address", "delete", f"{OWN}/32", "dev", "lo"], check=True)


@pytest.fixture
async def start(
    address: None,  # noqa: ARG001 # it has to be there first
    programs: Programs,  # noqa: ARG001 # so have they
    paths: Paths,
) -> AsyncIterator[Callable[[], Run]]:
    """A function that starts the first of two nodes; the second one never answers."""
    loaded = load_with(
        HA_NODES=f"{OWN},{PEER}",
        HA_VIP=VIP,
        HA_INTERFACE="lo",
        HA_SYNC_PORT="18730",
        HA_HTTP_PORT="19165",
        HA_HTTP_LISTEN=OWN,
    )
    own, peer = map(ip_address, (OWN, PEER))
    identity = Identity(node=own, index=0, interface="lo", peers=(peer,))
    runs: list[Run] = []
    async with Network() as network:

        def start() -> Run:
            runs.append(Run(build(loaded.settings, identity, paths, network, Turns())))
            return runs[-1]

        yield start
        for run in runs:
            if not run.result.done():
                await run.end()


Start = Callable[[], Run]


async def test_nginx_starts_first_and_ends_last(start: Start, programs: Programs) -> None:
    run = start()
    await run.until(lambda: run.is_master)
    assert programs.said == ["nginx starts", "keepalived starts"]
    assert await run.end() == ExitCode.DONE
    assert programs.said[2:] == ["keepalived ends", "nginx ends"]
    assert not run.holds
    assert programs.left() == []


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
async def test_a_stop_at_any_moment_leaves_nothing_behind(
    start: Start, programs: Programs, seconds: float
) -> None:
    run = start()
    await asyncio.sleep(seconds)
    assert await run.end() == ExitCode.DONE
    assert not run.holds
    assert programs.left() == []
    assert "nginx has the VIP still" not in programs.said


@pytest.mark.parametrize("name", ["vips", "health", "node"])
async def test_a_vital_task_that_returns_ends_the_node(
    start: Start, programs: Programs, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = asyncio.Event()

    async def until_enough() -> None:
        await enough.wait()

    run = start()
    monkeypatch.setattr(getattr(run.parts, name), "run", until_enough)
    await asyncio.sleep(1)
    enough.set()
    assert await asyncio.wait_for(run.result, 20) == ExitCode.INTERNAL
    assert not run.holds
    assert programs.left() == []


async def test_a_program_that_always_fails_ends_the_node(
    start: Start, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backoff, "delay", lambda *_: 0.01)
    programs.set("nginx-fails")
    run = start()
    assert await asyncio.wait_for(run.result, 30) == ExitCode.GAVE_UP
    assert set(programs.said) <= {"nginx starts", "keepalived starts", "keepalived ends"}
    assert not run.holds


async def test_nginx_that_ends_gives_the_vip_away_until_it_is_back(
    start: Start, programs: Programs
) -> None:
    run = start()
    await run.until(lambda: run.is_master)
    programs.set("nginx-fails")
    programs.set("nginx-ends")
    await run.until(lambda: not run.holds)
    for name in ("nginx-ends", "nginx-fails"):
        (programs.directory / name).unlink()
    await run.until(lambda: run.is_master)


async def test_a_keepalived_that_hangs_is_killed_and_the_vip_goes(
    start: Start, programs: Programs
) -> None:
    run = start()
    await run.until(lambda: run.is_master)
    await asyncio.sleep(2)  # it is only missed once it has shown life
    hung = run.parts.vrrp.supervisor.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    await run.until(lambda: run.parts.vrrp.supervisor.pid != hung, within=20)
    await run.until(lambda: run.is_master)
    assert programs.said.count("keepalived starts") == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGRTMIN + 3])
async def test_a_keepalived_that_dies_is_started_again(
    start: Start, programs: Programs, number: int
) -> None:
    run = start()
    await run.until(lambda: run.is_master)
    pid = run.parts.vrrp.supervisor.pid
    assert pid is not None
    os.kill(pid, number)
    await run.until(lambda: programs.said.count("keepalived starts") == 2)
    await run.until(lambda: run.is_master)


async def test_a_refused_configuration_keeps_the_vip_away_until_it_is_corrected(
    start: Start, programs: Programs
) -> None:
    programs.refuse("[emerg] unknown directive")
    run = start()
    await run.until(lambda: "keepalived starts" in programs.said)
    await asyncio.sleep(1)
    assert not run.holds
    assert "unknown directive" in run.parts.report().nginx.config_error
    programs.accept()
    await run.until(lambda: run.is_master)
