"""The HTTP server for monitoring: metrics, health, status. It only shows; nothing here acts."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from aiohttp import web

from sidecar.core.present import summary
from sidecar.core.report import Report
from sidecar.web.metrics import CONTENT_TYPE, exposition, make_registry
from sidecar.web.server import listening, make_app, ready_response, status_response

_WHERE: Final = """\
/metrics         for Prometheus
/healthz         200 while the sidecar answers
/readyz          200 while this node could serve
/api/v1/status   what `ha status --json` prints
"""


def monitoring_app(report: Callable[[], Report]) -> web.Application:
    """Return the application that shows what `report` returns."""
    registry = make_registry(report)

    async def index(_request: web.Request) -> web.Response:
        now = report()
        title = f"kiss-ha {now.node.version}: {summary(now.node)}"
        return web.Response(text=f"{title}\n\n{_WHERE}")

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=exposition(registry), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        return ready_response(report())

    async def status(_request: web.Request) -> web.Response:
        return status_response(report())

    return make_app(
        [
            web.get("/", index),
            web.get("/metrics", metrics),
            web.get("/healthz", healthz),
            web.get("/readyz", readyz),
            web.get("/api/v1/status", status),
        ]
    )


async def serve(report: Callable[[], Report], *, addresses: Iterable[str], port: int) -> None:
    """Answer on `port` of all `addresses` until cancelled; raise SidecarError if one is taken."""
    sites = [partial(web.TCPSite, host=host, port=port) for host in dict.fromkeys(addresses)]
    hint = "free that port, or change HA_HTTP_PORT or HA_HTTP_LISTEN"
    async with listening(monitoring_app(report), sites, hint=hint):
        await asyncio.Event().wait()
