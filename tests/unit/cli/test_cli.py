import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar import __version__, cli
from sidecar.core.present import status_text, to_json
from sidecar.core.report import CheckReport
from sidecar.errors import ProgramError, RefusedError
from tests.unit.cli.conftest import Daemon, Ha
from tests.unit.reports import FULL


class Obeying:
    async def failover(self) -> str:
        return "192.0.2.12 is MASTER now"

    async def drain(self) -> str:
        raise RefusedError("cannot drain: no peer could take over", "start one")

    async def resume(self) -> str:
        raise ProgramError("cannot write the flag: No space left on device")


async def test_status_shows_the_report_as_text(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, Obeying()):
        said = await ha("status")
    assert (said.code, said.out) == (0, status_text(FULL, color=False) + "\n")


async def test_status_shows_the_report_as_json(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, Obeying()):
        said = await ha("status", "--json")
    assert (said.code, json.loads(said.out)) == (0, to_json(FULL))


async def test_a_good_node_is_healthy(ha: Ha, daemon: Daemon) -> None:
    async with daemon(replace(FULL, node=replace(FULL.node, draining=True)), Obeying()):
        said = await ha("health")
    assert said.code == 0
    assert said.out.startswith("healthy: 192.0.2.11 is MASTER")


async def test_a_node_with_a_hard_failure_is_not_and_says_why(ha: Ha, daemon: Daemon) -> None:
    node = replace(FULL.node, eligible=False, hard=("nginx",))
    check = CheckReport(name="nginx", up=False, hard=True, message="connection refused")
    async with daemon(replace(FULL, node=node, checks=(check,)), Obeying()):
        said = await ha("health")
    assert (said.code, said.out) == (1, "unhealthy: nginx: connection refused\n")


async def test_an_order_prints_its_sentence(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, Obeying()):
        said = await ha("failover")
    assert (said.code, said.out) == (0, "192.0.2.12 is MASTER now\n")


async def test_an_order_that_is_refused_says_why(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, Obeying()):
        said = await ha("drain")
    expected = "cannot drain: no peer could take over\n  start one\n"
    assert (said.code, said.out, said.error) == (1, "", expected)


async def test_an_order_that_fails_is_not_a_no(ha: Ha, daemon: Daemon) -> None:
    async with daemon(FULL, Obeying()):
        said = await ha("resume")
    assert said.code == 70
    assert said.error.startswith("cannot write the flag: No space left on device")


@pytest.mark.parametrize("command", ["status", "health", "failover", "drain", "resume"])
async def test_without_a_daemon_the_answer_is_no(ha: Ha, command: str) -> None:
    said = await ha(command)
    assert (said.code, said.out) == (1, "")
    assert "it does not run here" in said.error
    assert "docker compose up" in said.error


async def test_a_daemon_that_was_killed_does_not_run(ha: Ha, control_socket: Path) -> None:
    server = await asyncio.start_unix_server(
        lambda _reader, _writer: None, control_socket, cleanup_socket=False
    )
    server.close()
    await server.wait_closed()
    assert "it does not run here" in (await ha("health")).error


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
    "arguments", [[], ["fly"], ["status", "--fast"], ["status", "--json", "--watch"], ["--js"]]
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
    assert all(f" {name} {words}" in text for name, words in cli.COMMANDS.items())


def test_what_is_asked_often_loads_little() -> None:
    program = """
import sys
import sidecar.cli, sidecar.core.present, sidecar.host.paths, sidecar.web.client
assert not {"aiohttp", "asyncio", "yaml", "prometheus_client"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


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
