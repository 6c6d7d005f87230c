"""The HTTP server: status page, metrics, health, status. It only shows; nothing here acts."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from sidecar.core.report import Report
from sidecar.host.door import listen_on
from sidecar.web.metrics import CONTENT_TYPE, exposition, make_registry
from sidecar.web.page import Pages, Streams
from sidecar.web.server import listening, make_app, ready_response, status_response, status_text

LIFETIME: Final = 10.0
"""Seconds that a connection has for its request and the answer; Prometheus waits no longer."""

KEPT: Final = 1.0
"""Seconds during which all who ask for the same large answer get the same bytes."""


def monitoring_app(report: Callable[[], Report], pages: Pages) -> web.Application:
    """Return the application that shows what `report` returns."""
    page_now = Recent(lambda: pages.document(report()))
    streams = Streams(Recent(lambda: pages.fragment(report())))
    metrics_now = Recent(partial(exposition, make_registry(report)))
    status_now = Recent(lambda: status_text(report()).encode())

    async def page(_request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": pages.policy, "Referrer-Policy": "no-referrer"}
        return web.Response(
            body=page_now(), content_type="text/html", charset="utf-8", headers=headers
        )

    async def icon(_request: web.Request) -> web.Response:
        return web.Response(body=pages.icon, content_type="image/svg+xml")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=metrics_now(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        return ready_response(report())

    async def status(_request: web.Request) -> web.Response:
        return status_response(status_now())

    app = make_app(
        [
            web.get("/", page),
            web.get("/events", streams.answer, allow_head=False),
            web.get("/icon.svg", icon),
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/api/v1/status", status),
        ]
    )
    app.on_shutdown.append(streams.close)
    return app


async def serve(
    report: Callable[[], Report],
    *,
    addresses: Iterable[str],
    port: int,
    directory: Path,
    zone: str,
) -> None:
    """Answer on `port` of all `addresses` until cancelled; raise SidecarError if one is taken.

    `directory` has the files of the status page, which shows times in `zone`.
    """
    pages = await asyncio.to_thread(lambda: Pages(directory, ZoneInfo(zone)))
    listeners = {
        f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}": partial(
            listen_on, host, port
        )
        for host in addresses
    }
    hint = "free that port, or change HA_HTTP_PORT or HA_HTTP_LISTEN"
    async with listening(monitoring_app(report, pages), listeners, lifetime=LIFETIME, hint=hint):
        await asyncio.Event().wait()


class Recent:
    """Something that costs time to make, and is made at most once in `KEPT` seconds."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._made = b""
        self._until = float("-inf")

    def __call__(self) -> bytes:
        """Return what was made just now, or a moment ago."""
        now = time.monotonic()
        if now >= self._until:
            self._made = self._make()
            self._until = now + KEPT
        return self._made
