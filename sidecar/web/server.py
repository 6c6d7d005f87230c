"""How both HTTP servers listen, and the answers that both give.

A connection is good for one request: then all that one may cost is a place for some seconds.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from socket import socket
from typing import Final

from aiohttp import web

from sidecar.core.report import Report
from sidecar.core.show.present import ineligible_because, summary, to_json
from sidecar.errors import SidecarError
from sidecar.host.door import Door

ROOM: Final = 256
"""Connections that may be open on one address."""

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
    app: web.Application,
    listeners: Mapping[str, Callable[[], socket]],
    *,
    lifetime: float | None,
    hint: str,
) -> AsyncIterator[None]:
    """Answer requests on sockets, given by their names, for as long as the context lasts.

    A connection is cut after `lifetime` seconds. Raise SidecarError, with the name and `hint`, if
    an address cannot be had.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        max_line_size=_MAX_LINE,
        max_field_size=_MAX_LINE,
        lingering_time=0,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    assert runner.server is not None
    doors = []
    try:
        for name, listen in listeners.items():
            try:
                listener = listen()
            except OSError as error:
                raise SidecarError(f"cannot listen on {name}: {error.strerror}", hint) from error
            doors.append(Door(listener, runner.server, name=name, room=ROOM, lifetime=lifetime))
        yield
    finally:
        for door in doors:
            door.close()
        await runner.cleanup()


def status_text(report: Report) -> str:
    """Return the JSON of `/api/v1/status`, laid out for people too."""
    return json.dumps(to_json(report), indent=2) + "\n"


def status_response(text: bytes) -> web.Response:
    """Return the answer to `/api/v1/status`: what `status_text` made."""
    return web.Response(body=text, content_type="application/json", charset="utf-8")


def ready_response(report: Report) -> web.Response:
    """Return the answer to `/readyz`: 200 if the node could serve, else 503 and why not."""
    if why := ineligible_because(report):
        return web.Response(text=f"{why}\n", status=503)
    return web.Response(text=f"{summary(report.node)}\n")


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Connection"] = "close"
    response.force_close()
