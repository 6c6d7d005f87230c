import asyncio
import io
import itertools
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Final, override

import pytest

from sidecar.commands.progress import progress
from sidecar.core.report import Report
from sidecar.core.sync_report import PeerSync, Progress, SyncReport
from sidecar.web.control import serve
from tests.unit.cli.conftest import Daemon, Ha, until_it_listens
from tests.unit.cli.orders import OBEYING
from tests.unit.reports import FULL

ALL_WELL: Final = replace(FULL, node=replace(FULL.node, soft=()), peers=(), sync=None, problems=())


async def test_waiting_ends_when_all_is_well(ha: Ha, control_socket: Path) -> None:
    now = FULL
    server = asyncio.create_task(serve(lambda: now, OBEYING, socket=control_socket))
    await until_it_listens(control_socket, server)
    waiting = asyncio.create_task(ha("status", "--wait"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    now = ALL_WELL
    said = await waiting
    assert (said.code, said.out) == (0, "all is well\n")
    assert said.error == "waiting: no link to 192.0.2.13: refused\n"
    server.cancel()
    await asyncio.wait([server])


async def test_a_count_that_grows_is_not_said_each_time(ha: Ha, control_socket: Path) -> None:
    asked = itertools.count(1)

    def now() -> Report:
        peer = PeerSync(node="b", in_sync=False, fetching=Progress(done=next(asked), total=20_000))
        return replace(ALL_WELL, sync=SyncReport(paths=(), peers=(peer,)))

    server = asyncio.create_task(serve(now, OBEYING, socket=control_socket))
    await until_it_listens(control_socket, server)
    said = await ha("status", "--wait=1.5")
    assert said.error.splitlines() == [
        "waiting: fetching 1 of 20,000 files from b",
        "not well after 1.5 s: fetching 3 of 20,000 files from b",
    ]
    server.cancel()
    await asyncio.wait([server])


async def test_waiting_does_not_last_longer_than_it_may(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("status", "--wait=0.1")
    assert (said.code, said.out) == (1, "")
    assert "not well after 0.1 s: no link to 192.0.2.13: refused\n" in said.error


async def test_waiting_for_a_daemon_that_is_not_there_yet_is_waiting(ha: Ha) -> None:
    said = await ha("status", "--wait=0.1")
    assert said.code == 1
    assert "waiting: cannot reach the daemon" in said.error


def test_long_work_shows_in_a_terminal_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        @override
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("ha sync", quiet=0.01):
        while "ha sync: 0 s" not in terminal.getvalue():
            sleep(0.01)
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_elsewhere_it_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("ha sync", quiet=0.0):
        sleep(0.01)
    assert capsys.readouterr().err == ""


def test_watching_ends_well_when_interrupted() -> None:
    command = [sys.executable, "-m", "sidecar", "status", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert any(line.strip() for line in watcher.stdout)
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait() == 0
