"""The HTTP server on the control socket: what the command line asks and orders."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from sidecar.commands.table import ORDERS, Command
from sidecar.core.report import Report
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.door import listen_at
from sidecar.web.server import listening, make_app, ready_response, status_response, status_text

Order = Callable[..., Awaitable[str]]
Orders = Mapping[str, Order]
"""What carries out each command of `ORDERS`, given its parameters by name.

It returns the sentence to print, or raises RefusedError.
"""


def control_app(report: Callable[[], Report], orders: Orders) -> web.Application:
    """Return the application that shows what `report` returns and carries out `orders`."""

    async def readyz(_request: web.Request) -> web.Response:
        return ready_response(report())

    async def status(_request: web.Request) -> web.Response:
        return status_response(status_text(report()).encode())

    async def perform(command: Command, request: web.Request) -> web.Response:
        given = await _given(request, command)
        return await _perform(partial(orders[command.name], **given))

    return make_app(
        [
            web.get("/readyz", readyz),
            web.get("/api/v1/status", status),
            *(web.post(command.route, partial(perform, command)) for command in ORDERS),
        ]
    )


async def serve(report: Callable[[], Report], orders: Orders, *, socket: Path) -> None:
    """Answer on the unix socket until cancelled; raise SidecarError if it cannot be made.

    Who may write to the socket may give orders: its directory must be open to root only.
    """
    hint = f"{socket.parent} must be there and writable"
    listeners = {str(socket): partial(listen_at, socket)}
    app = control_app(report, orders)
    # No lifetime: an order takes the time that it needs.
    async with listening(app, listeners, lifetime=None, hint=hint):
        await asyncio.Event().wait()


async def _given(request: web.Request, command: Command) -> dict[str, Any]:
    """Return what the body gives the command; raise HTTPBadRequest if that is anything else."""
    kinds = {parameter.name: parameter.kind for parameter in command.parameters}
    try:
        given = json.loads(await request.read())
    except ValueError:
        given = None
    if not isinstance(given, dict) or {name: type(given[name]) for name in given} != kinds:
        raise web.HTTPBadRequest
    return given


async def _perform(order: Callable[[], Awaitable[str]]) -> web.Response:
    try:
        return web.json_response({"message": await order()})
    except RefusedError as error:
        return _error(error, HTTPStatus.CONFLICT)
    except SidecarError as error:
        return _error(error, HTTPStatus.INTERNAL_SERVER_ERROR)


def _error(error: SidecarError, status: HTTPStatus) -> web.Response:
    return web.json_response({"message": error.message, "hint": error.hint}, status=status)
