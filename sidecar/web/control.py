"""The HTTP server on the control socket: what the command line asks and orders."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from sidecar.core.report import Report
from sidecar.errors import RefusedError, SidecarError
from sidecar.host.door import listen_at
from sidecar.web.server import listening, make_app, ready_response, status_response, status_text


class Actions(Protocol):
    """What a person can order. Each returns the sentence to print, or raises RefusedError."""

    async def failover(self) -> str:
        """Give the VIP to a peer now, and stay ready to take it back."""

    async def drain(self) -> str:
        """Give the VIP away and keep away from it until `resume`."""

    async def resume(self) -> str:
        """End `drain`."""

    async def reload(self) -> str:
        """Test and load the configuration of nginx now."""

    async def sync(self, *, dry_run: bool) -> str:
        """Compare the folders now and sync them; with `dry_run` only tell what would be done."""

    async def release(self) -> str:
        """Let pass what the guards of sync hold at this moment."""

    async def bring(self, snapshot: str) -> str:
        """Bring what is missing here of a snapshot, given by its id, from the other nodes."""

    async def rollback(self, snapshot: str) -> str:
        """Make an earlier state the live one, on every node; `snapshot` is as a person names it."""

    async def restore(self, snapshot: str, path: str) -> str:
        """Make what an earlier state had at and below `path` live, on every node."""


def control_app(report: Callable[[], Report], actions: Actions) -> web.Application:
    """Return the application that shows what `report` returns and performs `actions`."""

    async def readyz(_request: web.Request) -> web.Response:
        return ready_response(report())

    async def status(_request: web.Request) -> web.Response:
        return status_response(status_text(report()).encode())

    async def sync(request: web.Request) -> web.Response:
        given = await _given(request, dry_run=bool)
        return await _perform(partial(actions.sync, **given), request)

    async def bring(request: web.Request) -> web.Response:
        given = await _given(request, snapshot=str)
        return await _perform(partial(actions.bring, **given), request)

    async def rollback(request: web.Request) -> web.Response:
        given = await _given(request, snapshot=str)
        return await _perform(partial(actions.rollback, **given), request)

    async def restore(request: web.Request) -> web.Response:
        given = await _given(request, snapshot=str, path=str)
        return await _perform(partial(actions.restore, **given), request)

    return make_app(
        [
            web.get("/readyz", readyz),
            web.get("/api/v1/status", status),
            web.post("/failover", partial(_perform, actions.failover)),
            web.post("/drain", partial(_perform, actions.drain)),
            web.post("/resume", partial(_perform, actions.resume)),
            web.post("/reload", partial(_perform, actions.reload)),
            web.post("/sync", sync),
            web.post("/release", partial(_perform, actions.release)),
            web.post("/bring", bring),
            web.post("/rollback", rollback),
            web.post("/restore", restore),
        ]
    )


async def serve(report: Callable[[], Report], actions: Actions, *, socket: Path) -> None:
    """Answer on the unix socket until cancelled; raise SidecarError if it cannot be made.

    Who may write to the socket may give orders: its directory must be open to root only.
    """
    hint = f"{socket.parent} must be there and writable"
    listeners = {str(socket): partial(listen_at, socket)}
    app = control_app(report, actions)
    # No lifetime: an order takes the time that it needs.
    async with listening(app, listeners, lifetime=None, hint=hint):
        await asyncio.Event().wait()


async def _given(request: web.Request, **kinds: type) -> dict[str, Any]:
    """Return the fields of the body, which are `kinds`; raise HTTPBadRequest for anything else."""
    try:
        given = json.loads(await request.read())
    except ValueError:
        given = None
    if not isinstance(given, dict) or {name: type(given[name]) for name in given} != kinds:
        raise web.HTTPBadRequest
    return given


async def _perform(action: Callable[[], Awaitable[str]], request: web.Request) -> web.Response:
    await request.read()  # what is not read would reset the connection, and lose the answer
    try:
        return web.json_response({"message": await action()})
    except RefusedError as error:
        return _error(error, HTTPStatus.CONFLICT)
    except SidecarError as error:
        return _error(error, HTTPStatus.INTERNAL_SERVER_ERROR)


def _error(error: SidecarError, status: HTTPStatus) -> web.Response:
    return web.json_response({"message": error.message, "hint": error.hint}, status=status)
