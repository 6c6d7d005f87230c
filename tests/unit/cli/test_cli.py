import asyncio
import io
import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from time import sleep
from typing import Final, override

import pytest

from sidecar import __version__, cli
from sidecar.commands.progress import progress
from sidecar.commands.table import COMMANDS, Command
from sidecar.core.history.change import printable
from sidecar.core.history.merge import merge
from sidecar.core.report import CheckReport, Report
from sidecar.core.show.present import status_text, to_json
from sidecar.core.sync_report import PeerSync, Progress, SyncReport
from sidecar.errors import ProgramError, RefusedError
from sidecar.host.paths import Paths
from sidecar.sync.past import Past
from sidecar.sync.store import History
from sidecar.web.control import Orders, serve
from tests.unit.cli.conftest import Daemon, Ha, until_it_listens
from tests.unit.reports import FULL
from tests.unit.settings.example import REQUIRED
from tests.unit.trees import snapshot

ALL_WELL: Final = replace(FULL, node=replace(FULL.node, soft=()), peers=(), sync=None, problems=())


async def failover() -> str:
    return "192.0.2.12 is MASTER now"


async def drain() -> str:
    raise RefusedError("cannot drain: no peer could take over", "start one")


async def resume() -> str:
    raise ProgramError("cannot write the flag: No space left on device")


async def reload() -> str:
    raise RefusedError("cannot reload: [emerg] no", "correct it")


async def sync(*, dry_run: bool) -> str:
    return "would do nothing" if dry_run else "head is 3f2a9c81d0be"


async def adopt(whose: str) -> str:
    return f"chose the configuration of {whose}"


async def hold() -> str:
    return "held"


async def release() -> str:
    return "released (mass-delete): 12 of 20 files"


async def clear(path: str) -> str:
    raise RefusedError(f"cannot clear {path}: it is not among the conflicts")


async def bring(snapshot: str) -> str:
    raise RefusedError(f"cannot use snapshot {snapshot[:12]}: no linked node has it")


async def verify() -> str:
    return "2 snapshots and 2 files were checked: nothing is damaged"


async def rollback(snapshot: str) -> str:
    raise RefusedError(f"cannot use {snapshot!r}: no snapshot starts with {snapshot}")


async def restore(snapshot: str, path: str) -> str:
    return f"restored {printable(path)} from {snapshot}"


OBEYING: Final[Orders] = {
    "failover": failover,
    "drain": drain,
    "resume": resume,
    "reload": reload,
    "sync": sync,
    "sync adopt": adopt,
    "sync hold": hold,
    "sync release": release,
    "bring": bring,
    "clear": clear,
    "verify": verify,
    "rollback": rollback,
    "restore": restore,
}


async def test_status_shows_the_report_as_text(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("status")
    assert (said.code, said.out) == (0, status_text(FULL) + "\n")


async def test_status_shows_the_report_as_json(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("status", "--json")
    assert (said.code, json.loads(said.out)) == (0, json.loads(json.dumps(to_json(FULL))))


async def test_a_good_node_is_healthy(ha: Ha, daemon: Daemon) -> None:
    async with daemon(replace(FULL, node=replace(FULL.node, draining=True)), OBEYING):
        said = await ha("health")
    assert said.code == 0
    assert said.out.startswith("healthy: 192.0.2.11 is MASTER")


async def test_a_node_with_a_hard_failure_is_not_and_says_why(ha: Ha, daemon: Daemon) -> None:
    node = replace(FULL.node, eligible=False, hard=("nginx",))
    check = CheckReport(name="nginx", up=False, hard=True, message="connection refused")
    async with daemon(replace(FULL, node=node, checks=(check,)), OBEYING):
        said = await ha("health")
    assert (said.code, said.out) == (1, "unhealthy: nginx: connection refused\n")


async def test_an_order_prints_its_sentence(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("failover")
    assert (said.code, said.out) == (0, "192.0.2.12 is MASTER now\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("sync",), 0, "head is 3f2a9c81d0be\n"),
        (("sync", "--dry-run"), 0, "would do nothing\n"),
        (("sync", "adopt", "mine"), 0, "chose the configuration of mine\n"),
        (("sync", "hold"), 0, "held\n"),
        (("sync", "release"), 0, "released (mass-delete): 12 of 20 files\n"),
        (("rollback", "3f2a"), 1, "cannot use '3f2a': no snapshot starts with 3f2a\n"),
        (("conflicts", "--clear", "a"), 1, "cannot clear a: it is not among the conflicts\n"),
        (("history", "--verify"), 0, "2 snapshots and 2 files were checked: nothing is damaged\n"),
        (("restore", "head", "conf.d/ä b.conf"), 0, "restored conf.d/ä b.conf from head\n"),
        (("restore", "head", "\udcff" * 4000), 0, f"restored {'\\xff' * 4000} from head\n"),
    ],
)
async def test_what_is_ordered_goes_along(
    ha: Ha, daemon: Daemon, arguments: tuple[str, ...], code: int, text: str
) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha(*arguments)
    assert (said.code, said.out + said.error) == (code, text)


async def test_an_order_that_is_refused_says_why(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("drain")
    expected = "cannot drain: no peer could take over\n  start one\n"
    assert (said.code, said.out, said.error) == (1, "", expected)


async def test_an_order_that_fails_is_not_a_no(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, OBEYING):
        said = await ha("resume")
    assert said.code == 70
    assert said.error.startswith("cannot write the flag: No space left on device")


@pytest.mark.parametrize(
    "command",
    ["status", "health", "failover", "drain", "resume", "sync", "rollback head", "restore head a"],
)
async def test_without_a_daemon_the_answer_is_no(ha: Ha, command: str) -> None:
    said = await ha(*command.split())
    assert (said.code, said.out) == (1, "")
    assert "it is not running here" in said.error
    assert "docker compose up" in said.error


async def test_a_daemon_that_was_killed_does_not_run(ha: Ha, control_socket: Path) -> None:
    server = await asyncio.start_unix_server(
        lambda _reader, _writer: None, control_socket, cleanup_socket=False
    )
    server.close()
    await server.wait_closed()
    assert "it is not running here" in (await ha("health")).error


async def test_a_daemon_that_hangs_is_not_healthy(ha: Ha, control_socket: Path) -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(silence, control_socket):
        said = await ha("health")
    assert said.code == 1
    assert "no answer within 2 s" in said.error


async def test_a_bug_is_told_in_two_lines(ha: Ha, control_socket: Path) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n[]")
        writer.close()

    async with await asyncio.start_unix_server(nonsense, control_socket):
        said = await ha("status")
    assert said.code == 70
    assert len(said.error.splitlines()) == 2
    assert "LOG_LEVEL=debug" in said.error


async def test_the_history_is_shown_also_without_a_daemon(
    ha: Ha, daemon: Daemon, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert (await ha("history")).out == "No snapshot yet.\n"
    history = History(paths.state / "history")
    one = history.add(snapshot({}))
    history.set_head(one)
    assert f"{one[:12]}  1970-01-01 00:00:01  192.0.2.11  head\n" in (await ha("history")).out
    peer = FULL.peers[0]
    assert peer.state is not None
    linked = replace(peer, state=replace(peer.state, head=one))
    async with daemon(replace(FULL, peers=(linked,)), OBEYING):
        assert "  head, head of 192.0.2.12\n" in (await ha("history")).out


async def test_the_conflicts_are_shown_also_without_a_daemon(
    ha: Ha, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert (await ha("conflicts")).out == "No conflicts.\n"
    assert (await ha("conflicts", "--json")).out == "[]\n"
    history = History(paths.state / "history")
    root = history.add(snapshot({}))
    for content, time in ((b"1", 2.0), (b"2", 3.0)):
        history.put(content)
        history.add(snapshot({"a": content.decode()}, root, time=time))
    sides = history.ids() - {root}
    history.set_head(history.add(merge(sides, history.graph(), Past(history))))
    assert "ha restore OTHER PATH" in (await ha("conflicts")).out
    (one,) = json.loads((await ha("conflicts", "--json")).out)
    assert one["path"] == "/etc/nginx/a"
    assert {one["other"]["snapshot"], one["live"]["snapshot"]} == sides


async def test_snapshots_are_compared_and_exported(
    ha: Ha, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    history = History(paths.state / "history")
    history.put(b"x")
    one = history.add(snapshot({"a": "x"}))
    said = await ha("diff", one[:4])
    assert (said.code, said.out.splitlines()[0]) == (0, "added    a")
    target = tmp_path / "new"
    said = await ha("export", one, str(target))
    assert (said.code, said.out) == (0, f"wrote snapshot {one[:12]}, 1 file, to {target}\n")
    assert (target / "a").read_text() == "x"
    said = await ha("export", one, str(target))
    assert (said.code, said.error.splitlines()[0]) == (
        1,
        f"cannot export to {target}: something is there",
    )
    assert (await ha("diff", "head")).error == "cannot use head: there is no snapshot yet\n"


async def test_a_snapshot_that_is_not_whole_is_asked_for_and_refused(
    ha: Ha, daemon: Daemon, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    history = History(paths.state / "history")
    digest = history.put(b"x")
    one = history.add(snapshot({"a": "x"}))
    history.set_head(one)
    (history.directory / "objects" / digest).unlink()
    assert "  head, incomplete here\n" in (await ha("history")).out
    for order in (("diff", one), ("export", one, str(tmp_path / "new"))):
        said = await ha(*order)
        assert said.code == 1
        assert f"snapshot {one[:12]} is incomplete on this node: cannot reach" in said.error
        async with daemon(FULL, OBEYING):
            said = await ha(*order)
        assert (said.code, "no linked node has it" in said.error) == (1, True)


async def test_without_settings_the_history_is_not_shown(
    ha: Ha, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in REQUIRED:
        monkeypatch.delenv(name, raising=False)
    assert (await ha("history")).code == 78


async def test_a_secret_is_new_each_time(ha: Ha) -> None:
    secrets = [(await ha("secret")).out.strip() for _ in range(2)]
    assert all(len(bytes.fromhex(secret)) == 32 for secret in secrets)
    assert secrets[0] != secrets[1]


async def test_the_version_is_told(ha: Ha) -> None:
    assert (await ha("version")).out == f"kiss-ha {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["status", "--fast"],
        ["status", "--json", "--watch"],
        ["--js"],
        ["sync", "now"],
        ["diff", "a", "b", "c"],
        ["rollback"],
        ["restore", "head"],
        ["export", "head"],
        ["conflicts", "--clear"],
        ["sync", "adopt"],
        ["conflicts", "--json", "--clear", "a"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    assert exit_.value.code == 64


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--help"])
    assert exit_.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    listed = [row for row in COMMANDS.values() if row.shown and " " not in row.name]
    assert all(f" {row.name} {row.help}" in text for row in listed)
    assert " bring " not in text.replace("restore bring", "")


@pytest.mark.parametrize("row", COMMANDS.values(), ids=lambda row: row.name)
def test_a_command_that_no_node_carries_out_has_a_module(row: Command) -> None:
    if row.patience is None:
        wanted = {parameter.name for parameter in row.parameters}
        module = import_module(f"sidecar.commands.{row.name}")
        assert set(signature(module.run).parameters) - {"context", "_context"} == wanted


def test_what_is_asked_often_loads_little() -> None:
    program = """
import sys
import sidecar.cli, sidecar.commands.health, sidecar.core.show.present
assert not {"aiohttp", "asyncio", "yaml", "prometheus_client"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


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


def test_who_has_set_nothing_is_told_what_to_set(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in [name for name in os.environ if name.startswith("HA_")]:
        monkeypatch.delenv(variable)
    assert cli.main(["check"], paths=paths) == 78
    told = capsys.readouterr().err
    assert "needs three settings, the same on every host" in told
    monkeypatch.setenv("HA_VIP", "192.0.2.10")
    assert cli.main(["check"], paths=paths) == 78
    assert "needs three settings" not in capsys.readouterr().err


def test_watching_ends_well_when_interrupted() -> None:
    command = [sys.executable, "-m", "sidecar", "status", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        assert any(line.strip() for line in watcher.stdout)
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait() == 0


def test_a_reader_that_leaves_does_no_harm() -> None:
    command = [sys.executable, "-m", "sidecar", "version"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait() == 1
