"""Messages leave by a real Apprise, to a web server that may refuse them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from sidecar.core.report import Report, Role
from sidecar.core.timeline import Event, EventKind
from sidecar.daemon import notifier
from sidecar.daemon.notifier import Notifier
from sidecar.errors import RefusedError
from sidecar.host.broadcast import Broadcast
from tests.unit.reports import EMPTY, MASTER


class Server:
    """A receiver of Apprise's JSON; `down` is how many it still refuses."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.down = 0
        self.port = 0

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.json()
        if self.down:
            self.down -= 1
            return web.Response(status=503)
        self.taken.append(body["title"])
        return web.Response()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.taken) < count:
                await asyncio.sleep(0.05)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server, app = Server(), web.Application()
    app.add_routes([web.post("/", server.receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@asynccontextmanager
async def running(part: Notifier) -> AsyncIterator[None]:
    task = asyncio.create_task(part.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def url(server: Server) -> str:
    return f"json://127.0.0.1:{server.port}/"


@pytest.fixture
def new_master() -> Callable[[], Report]:
    """A node that becomes MASTER after the first look."""
    looks: list[float] = []

    def report() -> Report:
        looks.append(time.time())
        shown = replace(EMPTY, node=replace(MASTER, clock=looks[-1]))
        if looks[1:]:
            taken = Event(time=looks[1], node=MASTER.node, kind=EventKind.ROLE, subject=Role.MASTER)
            shown = replace(shown, events=(taken,))
        return shown

    return report


async def test_a_test_tells_what_each_url_answers(server: Server) -> None:
    part = Notifier([url(server)], lambda: EMPTY, Broadcast())
    assert await part.test() == "sent: json://…"
    assert server.taken == ["Test from 192.0.2.11"]
    server.down = 1
    part = Notifier([url(server), "nonsense://secret"], lambda: EMPTY, Broadcast())
    with pytest.raises(RefusedError) as refused:
        await part.test()
    told = str(refused.value)
    assert "503" in told
    assert "Apprise does not" in told
    assert "secret" not in told


async def test_without_urls_a_test_says_what_to_set() -> None:
    with pytest.raises(RefusedError, match="HA_NOTIFY"):
        await Notifier([], lambda: EMPTY, Broadcast()).test()


async def test_a_message_that_is_refused_is_sent_again(
    server: Server, new_master: Callable[[], Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "FIRST_PAUSE", 0.1)
    monkeypatch.setattr(notifier, "LOOK_EVERY", 0.05)
    for name in ("SETTLED", "GATHERED"):
        monkeypatch.setattr(f"sidecar.core.show.notices.{name}", 0.1)
    server.down = 2
    async with running(Notifier([url(server)], new_master, Broadcast())):
        await server.wait(1)
    assert server.taken == ["192.0.2.11 is MASTER"]


async def test_a_message_that_nobody_takes_is_given_up(
    server: Server,
    new_master: Callable[[], Report],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(notifier, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(notifier, "TRY_FOR", 0.0)
    for name in ("SETTLED", "GATHERED"):
        monkeypatch.setattr(f"sidecar.core.show.notices.{name}", 0.1)
    server.down = 100
    part = Notifier([url(server)], new_master, Broadcast())
    async with running(part), asyncio.timeout(20):
        while not any(record.levelname == "ERROR" for record in caplog.records):
            await asyncio.sleep(0.05)
    assert not server.taken
