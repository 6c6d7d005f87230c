"""How both HTTP servers listen, and the answers that both give."""

import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from sidecar.core.present import ineligible_because, summary, to_json
from sidecar.core.report import Report
from sidecar.errors import SidecarError

MakeSite = Callable[[web.AppRunner], web.BaseSite]

_MAX_BODY: Final = 32 * 1024
"""Bytes of what an order is given: the longest path, every character escaped."""
_MAX_LINE: Final = 4096
"""Bytes of a request's first line and of each header."""
_SHUTDOWN_SECONDS: Final = 1.0


def make_app(routes: Iterable[web.AbstractRouteDef]) -> web.Application:
    """Return an application with our limits and headers."""
    app = web.Application(client_max_size=_MAX_BODY)
    app.add_routes(routes)
    app.on_response_prepare.append(_harden)
    return app


@asynccontextmanager
async def listening(
    app: web.Application, sites: Iterable[MakeSite], *, hint: str
) -> AsyncIterator[None]:
    """Answer requests on all `sites` for as long as the context lasts.

    Raise SidecarError, with the address and `hint`, if one of them cannot be listened on.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        keepalive_timeout=30,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        for make_site in sites:
            await _start(make_site(runner), hint)
        yield
    finally:
        await runner.cleanup()


def status_response(report: Report) -> web.Response:
    """Return the answer to `/api/v1/status`, laid out for people too."""
    text = json.dumps(to_json(report), indent=2) + "\n"
    return web.Response(text=text, content_type="application/json")


def ready_response(report: Report) -> web.Response:
    """Return the answer to `/readyz`: 200 if the node could serve, else 503 and why not."""
    if why := ineligible_because(report):
        return web.Response(text=f"{why}\n", status=503)
    return web.Response(text=f"{summary(report.node)}\n")


async def _start(site: web.BaseSite, hint: str) -> None:
    try:
        await site.start()
    except OSError as error:
        # asyncio puts its own sentence around the system's, where there is a system's.
        number = error.errno or 0
        cause = os.strerror(number) if number > 0 else error.strerror or error
        raise SidecarError(f"cannot listen on {site.name}: {cause}", hint) from error


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
