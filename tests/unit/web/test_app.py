import asyncio
import json
import socket
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sidecar.core.present import from_json
from sidecar.core.report import CheckReport, Report
from sidecar.errors import SidecarError
from sidecar.web.app import monitoring_app, serve
from tests.unit.reports import EMPTY, FULL


async def get(path: str, report: Report = FULL, method: str = "GET") -> tuple[int, str, str]:
    async with TestClient(TestServer(monitoring_app(lambda: report))) as client:
        answer = await client.request(method, path)
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_metrics_come_in_the_text_format() -> None:
    status, kind, text = await get("/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "ha_eligible 1.0\n" in text


async def test_health_asks_nothing_of_the_report() -> None:
    def report() -> Report:
        raise AssertionError

    async with TestClient(TestServer(monitoring_app(report))) as client:
        assert (await client.get("/healthz")).status == 200


async def test_a_node_that_could_serve_is_ready() -> None:
    assert await get("/readyz") == (
        200,
        "text/plain; charset=utf-8",
        "192.0.2.11 is MASTER, holds 192.0.2.10\n",
    )


async def test_a_node_that_could_not_serve_says_why() -> None:
    node = replace(FULL.node, eligible=False, hard=("nginx",))
    check = CheckReport(name="nginx", up=False, hard=True, message="connection refused")
    status, _, text = await get("/readyz", replace(FULL, node=node, checks=(check,)))
    assert (status, text) == (503, "nginx: connection refused\n")


async def test_the_status_is_the_report() -> None:
    status, kind, text = await get("/api/v1/status")
    assert (status, kind) == (200, "application/json; charset=utf-8")
    assert from_json(json.loads(text)) == FULL


async def test_the_front_page_says_who_is_there() -> None:
    _, _, text = await get("/", EMPTY)
    assert text.startswith("kiss-ha 0.1.0: 192.0.2.11 is INIT\n")


@pytest.mark.parametrize("path", ["/failover", "/drain", "/resume"])
async def test_there_is_nothing_to_order(path: str) -> None:
    assert (await get(path, method="POST"))[0] == 404


async def test_only_reading_is_allowed() -> None:
    assert (await get("/metrics", method="POST"))[0] == 405


async def test_answers_are_not_kept_nor_guessed_at() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL))) as client:
        answer = await client.get("/")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("address", "cause"), [("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign")]
)
async def test_an_address_that_cannot_be_had_is_named(address: str, cause: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SidecarError, match=rf"{address}:{port}.*{cause}"):
            await serve(lambda: FULL, addresses=[address], port=port)


async def test_those_who_ask_at_once_get_the_same_bytes() -> None:
    made = 0

    def report() -> Report:
        nonlocal made
        made += 1
        return FULL

    async with TestClient(TestServer(monitoring_app(report))) as client:
        for path in ("/metrics", "/api/v1/status"):
            made = 0
            answers = [await (await client.get(path)).read() for _ in range(5)]
            assert (made, len(set(answers))) == (1, 1)


async def test_a_connection_is_good_for_one_request() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL))) as client:
        assert (await client.get("/healthz")).headers["Connection"] == "close"


async def test_it_listens_on_every_address_until_cancelled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    server = asyncio.create_task(serve(lambda: FULL, addresses=addresses, port=port))
    for address in addresses:
        answer = await until_it_answers(address, port, server)
        assert answer.startswith(b"HTTP/1.1 200 ")
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def until_it_answers(address: str, port: int, server: asyncio.Task[None]) -> bytes:
    while not server.done():
        try:
            reader, writer = await asyncio.open_connection(address, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
            continue
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer
    await server
    raise AssertionError("it ended")
