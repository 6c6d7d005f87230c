"""The probe against servers that behave badly in one way each."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sidecar.programs.nginx import Probe

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(text: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        writer.close()

    return serve


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize("text", [b"", b"HTTP/1.1 503 x\r\n\r\n", b"\xff\r\n\r\n\xff"])
async def test_any_end_of_the_conversation_is_an_answer(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "status.sock"
    server = await asyncio.start_unix_server(says(text), path)
    answer = await Probe(path).ask(1)
    assert (answer.error, answer.stub_status) == (None, None)
    server.close()


async def test_silence_is_none(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    server = await asyncio.start_unix_server(hangs, path)
    assert "within 0.05 s" in str((await Probe(path).ask(1, timeout=0.05)).error)
    server.close()


async def test_a_socket_that_nobody_holds_is_none(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert "refused" in str((await Probe(path).ask(1)).error)


async def test_a_full_queue_is_none(tmp_path: Path) -> None:
    path = tmp_path / "status.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 # the parameter has no name
            one.connect_ex(str(path))
        assert (await Probe(path).ask(1, timeout=0.1)).error
        for one in waiting:
            one.close()


async def test_without_processes_and_listeners_nginx_is_gone(tmp_path: Path) -> None:
    asked = Probe(tmp_path / "status.sock", proc=tmp_path)
    assert "stopped or gone" in str((await asked.ask(1)).error)
    assert not asked.target
