import asyncio
import base64
import hashlib
import json
import re
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from sidecar.core.report import CheckReport, Report
from sidecar.core.show.present import from_json
from sidecar.errors import SidecarError
from sidecar.web.app import monitoring_app, serve
from sidecar.web.page import STREAMS, Pages
from tests.unit.reports import EMPTY, FULL

PAGE = Path(__file__).parents[3] / "config" / "page"
PAGES = Pages(PAGE, ZoneInfo("UTC"))


async def get(path: str, report: Report = FULL, method: str = "GET") -> tuple[int, str, str]:
    async with TestClient(TestServer(monitoring_app(lambda: report, PAGES))) as client:
        answer = await client.request(method, path)
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def test_metrics_come_in_the_text_format() -> None:
    status, kind, text = await get("/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "ha_eligible 1.0\n" in text


async def test_health_asks_nothing_of_the_report() -> None:
    def report() -> Report:
        raise AssertionError

    async with TestClient(TestServer(monitoring_app(report, PAGES))) as client:
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
    status, kind, text = await get("/", EMPTY)
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "192.0.2.11" in text


async def test_the_front_page_may_use_nothing_but_what_it_brings() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL, PAGES))) as client:
        answer = await client.get("/")
        policy = dict(
            rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; ")
        )
        text = await answer.text()
    assert policy["default-src"] == "'none'"
    assert not any("unsafe" in sources or "http" in sources for sources in policy.values())
    for element, rule in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[rule] == f"'sha256-{digest}'"
    assert not re.findall(r"(?:src|href)=\"(?:\w+:|//)", text)


async def next_event(stream: ClientResponse) -> dict[str, str]:
    """Return the next event that is not only a setting, its data without the page itself."""
    while True:
        block = b""
        while not block.endswith(b"\n\n"):
            block += await stream.content.readline()
        fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if ": " in line)
        if "event" in fields:
            return fields


async def test_a_stream_says_the_page_once_and_then_only_that_it_lives() -> None:
    now = FULL
    async with TestClient(TestServer(monitoring_app(lambda: now, PAGES))) as client:
        async with client.get("/events") as stream:
            first = await next_event(stream)
            assert (await next_event(stream))["event"] == "beat"
            now = EMPTY
            second = await next_event(stream)
        assert (first["event"], second["event"]) == ("page", "page")
        assert first["id"] != second["id"]
        async with client.get("/events", headers={"Last-Event-ID": second["id"]}) as stream:
            assert (await next_event(stream))["event"] == "beat"


async def test_the_number_of_streams_is_bounded() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL, PAGES))) as client:
        async with AsyncExitStack() as streams:
            for _ in range(STREAMS):
                stream = await streams.enter_async_context(client.get("/events"))
                assert stream.status == 200
            assert (await client.get("/events")).status == 503
        assert (await client.get("/healthz")).status == 200


async def test_the_end_of_the_server_ends_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.web.page.PACE", 60.0)
    server = TestServer(monitoring_app(lambda: FULL, PAGES))
    async with TestClient(server) as client, client.get("/events") as stream:
        await next_event(stream)
        begun = time.monotonic()
        await server.close()
        assert time.monotonic() - begun < 5


async def test_the_icon_is_there() -> None:
    assert (await get("/icon.svg"))[:2] == (200, "image/svg+xml")


@pytest.mark.parametrize("path", ["/failover", "/drain", "/resume"])
async def test_there_is_nothing_to_order(path: str) -> None:
    assert (await get(path, method="POST"))[0] == 404


async def test_only_reading_is_allowed() -> None:
    assert (await get("/metrics", method="POST"))[0] == 405


async def test_answers_are_not_kept_nor_guessed_at() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL, PAGES))) as client:
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
            await serve(lambda: FULL, addresses=[address], port=port, directory=PAGE, zone="UTC")


async def test_those_who_ask_at_once_get_the_same_bytes() -> None:
    made = 0

    def report() -> Report:
        nonlocal made
        made += 1
        return FULL

    async with TestClient(TestServer(monitoring_app(report, PAGES))) as client:
        for path in ("/metrics", "/api/v1/status"):
            made = 0
            answers = [await (await client.get(path)).read() for _ in range(5)]
            assert (made, len(set(answers))) == (1, 1)


async def test_a_connection_is_good_for_one_request() -> None:
    async with TestClient(TestServer(monitoring_app(lambda: FULL, PAGES))) as client:
        assert (await client.get("/healthz")).headers["Connection"] == "close"


async def test_it_listens_on_every_address_until_cancelled() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    server = asyncio.create_task(
        serve(lambda: FULL, addresses=addresses, port=port, directory=PAGE, zone="UTC")
    )
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
