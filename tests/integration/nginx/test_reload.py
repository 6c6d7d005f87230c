"""A reload counts only when the new configuration serves."""

import asyncio
import os
import signal
import socket
import time

import pytest

from sidecar.programs.nginx import workers
from tests.integration.nginx.server import OWN, get, running, write


def serve(text: str, *, port: int = 80, main: str = "") -> None:
    write("nginx.conf", main + OWN % f"server {{ listen {port}; return 200 {text}; }}")


@pytest.mark.parametrize("count", ["1", "4"])
async def test_a_new_configuration_serves_at_once(count: str) -> None:
    serve("first")
    write(
        "nginx.conf",
        (OWN % "server { listen 80; return 200 first; }").replace("2;", f"{count};", 1),
    )
    async with running() as server:
        assert "first" in await get("x")
        serve("second")
        assert not await server.reload()
        assert {(await get("x"))[-6:] for _ in range(20)} == {"second"}


async def test_a_reload_of_the_same_configuration_is_one_too() -> None:
    serve("same")
    async with running() as server:
        for _ in range(5):
            assert not await server.reload()


async def test_workers_that_still_drain_do_not_matter() -> None:
    serve("first")
    async with running() as server:
        _, idle = await asyncio.open_connection("127.0.0.1", 80)
        idle.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        await asyncio.sleep(0.1)
        serve("second")
        assert not await server.reload()
        assert not await server.reload()
        idle.close()


async def test_a_broken_configuration_is_refused_and_the_old_one_serves() -> None:
    serve("first")
    async with running() as server:
        write("nginx.conf", "broken\n")
        begun = time.monotonic()
        assert "nginx.conf:2" in str(await server.reload())
        assert time.monotonic() - begun < 3
        assert "first" in await get("x")
        serve("second")
        assert not await server.reload()
        assert "second" in await get("x")


async def test_a_port_of_another_process_is_noticed_and_named() -> None:
    serve("first")
    with socket.create_server(("0.0.0.0", 8081)):
        async with running() as server:
            serve("second", port=8081)
            assert await server.reload() == (
                "[emerg] bind() to 0.0.0.0:8081 failed (98: Address already in use)"
            )
            assert "first" in await get("x")


async def test_a_port_that_becomes_free_while_nginx_tries_is_a_success() -> None:
    serve("first")
    async with running() as server:
        with socket.create_server(("0.0.0.0", 8081)):
            serve("second", port=8081)
            trying = asyncio.create_task(server.reload())
            await asyncio.sleep(0.7)
        assert not await trying
        assert "second" in await get("x", port=8081)


async def test_a_stuck_worker_does_not_hide_that_the_new_one_serves() -> None:
    serve("first")
    async with running() as server:
        stuck = next(iter(workers.serving(server.master)))
        os.kill(stuck.pid, signal.SIGSTOP)
        assert not await server.reload()


async def test_a_master_that_does_not_react_or_is_gone_is_a_failure() -> None:
    serve("first")
    async with running() as server:
        await server.freeze()
        assert "no worker" in str(await server.reload(timeout=0.3))
    assert await server.reload() == "nginx is not running"
