"""Alive and answering, asked in each way."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from sidecar.programs import nginx
from sidecar.programs.nginx import workers
from tests.integration.nginx.certificate import make_pair
from tests.integration.nginx.server import OWN, PATHS, get, render, running, write

SILENT = "server { listen unix:/tmp/other.sock; return 200 x; }"
"""A configuration without our status server and without a TCP port."""


def probe() -> nginx.Probe:
    return nginx.Probe(PATHS.nginx_status_socket)


async def well(asked: nginx.Probe, master: int) -> bool:
    return not (await asked.ask(master, timeout=5)).error


async def hangs(asked: nginx.Probe, master: int) -> bool:
    return bool((await asked.ask(master, timeout=0.5)).error)


def with_status() -> None:
    nginx.install_stock(PATHS.nginx, PATHS.config / "nginx")
    render()


def without_status() -> None:
    write("nginx.conf", OWN % "server { listen 80; return 200 x; }")


def without_ports() -> None:
    write("nginx.conf", OWN % SILENT)


@pytest.mark.parametrize("prepare", [with_status, without_status, without_ports])
async def test_a_hung_nginx_is_noticed_and_a_thawed_one_is_well(
    prepare: Callable[[], None],
) -> None:
    prepare()
    asked = probe()
    async with running() as server:
        assert await well(asked, server.master)
        await server.freeze()
        assert await hangs(asked, server.master)
        assert await hangs(asked, server.master)
        server.thaw()
        assert await well(asked, server.master)


@pytest.mark.parametrize("prepare", [with_status, without_status])
async def test_a_stopped_master_is_no_reason_while_workers_answer(
    prepare: Callable[[], None],
) -> None:
    prepare()
    asked = probe()
    async with running() as server:
        assert await well(asked, server.master)
        os.kill(server.master, signal.SIGSTOP)
        assert await well(asked, server.master)


async def test_the_status_server_tells_its_counters() -> None:
    with_status()
    asked = probe()
    async with running() as server:
        await get("x")
        status = (await asked.ask(server.master)).stub_status
        assert status is not None
        assert status.requests == 2
        assert asked.target == "UNIX-CONNECT:/run/ha/nginx/status.sock"


async def test_one_stopped_worker_of_several_is_no_reason() -> None:
    without_status()
    asked = probe()
    async with running() as server:
        os.kill(next(iter(workers.serving(server.master))).pid, signal.SIGSTOP)
        assert await well(asked, server.master)


async def test_the_status_server_answers_whatever_the_users_http_block_forbids() -> None:
    render()
    write("nginx.conf", OWN % "deny all; auth_basic x; include /run/ha/nginx/*.conf;")
    async with running() as server:
        assert (await probe().ask(server.master)).stub_status is not None


@pytest.mark.parametrize(
    "listen",
    [
        "80",
        "127.0.0.1:80",
        "[::1]:80",
        "80 deferred",
        "80 proxy_protocol",
        "443 ssl",
        "80 reuseport",
    ],
)
async def test_any_listener_answers_and_the_probe_leaves_no_access_log(listen: str) -> None:
    make_pair("app.test")
    pair = PATHS.nginx / "certs/app.test"
    keys = f"ssl_certificate {pair}/fullchain.pem; ssl_certificate_key {pair}/privkey.pem;"
    write("nginx.conf", OWN % f"{keys} server {{ listen {listen}; return 200 x; }}")
    asked = probe()
    async with running() as server:
        begun = time.monotonic()
        assert await well(asked, server.master)
        assert asked.target.startswith("TCP")
        assert time.monotonic() - begun < 2
        before = len(server.lines)
        assert await well(asked, server.master)
        assert server.lines[before:] == []
        await server.freeze()
        assert await hangs(asked, server.master)


async def test_a_listener_with_a_dead_upstream_does_not_stand_for_nginx() -> None:
    # 198.51.100.1 is a documentation address: nobody answers, so this listener is silent.
    stream = "stream { server { listen 81; proxy_pass 198.51.100.1:9; } }"
    write("nginx.conf", "load_module modules/ngx_stream_module.so;\n" + OWN % "" + stream)
    asked = probe()
    async with running() as server:
        assert await well(asked, server.master)
        write(
            "nginx.conf",
            "load_module modules/ngx_stream_module.so;\n"
            + OWN % "server { listen 80; return 200 x; }"
            + stream,
        )
        assert not await server.reload()
        assert await well(asked, server.master)
        await server.freeze()
        assert await hangs(asked, server.master)


async def test_a_listener_that_a_reload_took_away_is_forgotten() -> None:
    without_status()
    asked = probe()
    async with running() as server:
        assert await well(asked, server.master)
        write("nginx.conf", OWN % "server { listen 8080; return 200 x; }")
        assert not await server.reload()
        assert await well(asked, server.master)
        assert asked.target == "TCP4:127.0.0.1:8080"


async def test_a_killed_master_leaves_sockets_that_a_new_one_does_not_trip_over() -> None:
    with_status()
    async with running() as server:
        server.child.kill_group(signal.SIGKILL)
        await server.child.wait()
        assert PATHS.nginx_status_socket.exists()
        assert await hangs(probe(), server.master)
    async with running() as server:
        assert await well(probe(), server.master)


async def test_a_probe_costs_little() -> None:
    with_status()
    asked = probe()
    async with running() as server:
        begun = time.process_time()
        for _ in range(200):
            assert not (await asked.ask(server.master)).error
        assert (time.process_time() - begun) / 200 < 0.002
