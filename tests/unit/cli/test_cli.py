import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Final

import pytest

from sidecar import __version__, cli
from sidecar.commands.table import COMMANDS, Command
from sidecar.core.report import CheckReport
from sidecar.core.show.present import status_text, to_json
from sidecar.host.paths import Paths
from tests.unit.cli.conftest import Daemon, Ha
from tests.unit.cli.orders import OBEYING
from tests.unit.reports import FULL

ALL_WELL: Final = replace(FULL, node=replace(FULL.node, soft=()), peers=(), sync=None, problems=())


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


def test_a_reader_that_leaves_does_no_harm() -> None:
    command = [sys.executable, "-m", "sidecar", "version"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait() == 1
