"""Is nginx alive and answering? With any configuration, at little cost, without a log line."""

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.core.nginx import parse_stub_status
from sidecar.core.report import StubStatus
from sidecar.host.descriptors import NONE_LEFT
from sidecar.programs.nginx import workers
from sidecar.programs.nginx.listeners import Listener, listeners, sockets

_REQUEST: Final = b"GET / HTTP/1.0\r\n\r\n"

_AT_MOST: Final = 8
"""Listeners asked at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a probe found; without an `error` nginx is well."""

    error: str | None = None
    stub_status: StubStatus | None = None


class Probe:
    """Asks nginx whether it answers.

    Where nginx.conf includes our status server, that one is asked. Else a listener of nginx's
    that has answered before, and if it no longer does, the others: nginx is hung when none does,
    while one of several may just have a dead upstream (`stream`). Where no listener has ever
    answered, the master and one worker must run.

    An empty, half-closed connection is the question: nginx closes it whatever the listener speaks,
    and no access log mentions it.
    """

    def __init__(self, status_socket: Path, proc: Path = workers.PROC) -> None:
        self._status = status_socket
        self._proc = proc
        self._inodes: frozenset[int] = frozenset()
        self._listeners: tuple[Listener, ...] = ()
        self._answered: Listener | None = None

    @property
    def target(self) -> str:
        """Where nginx last answered, as an address of socat(1); empty if nowhere."""
        if self._status.is_socket():
            return f"UNIX-CONNECT:{self._status}"
        return self._answered.target if self._answered is not None else ""

    async def ask(self, master: int, *, timeout: float = 1.0) -> Answer:
        """Return within `timeout` seconds whether the nginx with this master answers.

        Raise OSError where we lack what it takes to ask.
        """
        if self._status.is_socket():
            return await self._ask_status(timeout)
        return Answer(error=await self._ask_listeners(master, timeout))

    async def _ask_status(self, timeout: float) -> Answer:
        page = b""
        try:
            async with asyncio.timeout(timeout):
                page = await _talk(socket.AF_UNIX, str(self._status), _REQUEST)
        except TimeoutError:
            return Answer(error=f"no answer on its status socket within {timeout:g} s")
        except OSError as error:
            if error.errno in NONE_LEFT:
                raise
            return Answer(error=f"cannot connect to its status socket: {error.strerror}")
        # Anything else, for instance nothing because all connections are in use, is an answer too.
        with suppress(ValueError):
            return Answer(stub_status=parse_stub_status(page.partition(b"\r\n\r\n")[2].decode()))
        return Answer()

    async def _ask_listeners(self, master: int, timeout: float) -> str | None:
        self._learn(master)
        before = self._answered
        if before is not None and await _first([before], timeout / 2):
            return None
        others = [listener for listener in self._listeners if listener != before]
        found = await _first(others[:_AT_MOST], timeout if before is None else timeout / 2)
        if found is not None:
            self._answered = found
            return None
        if before is not None:
            return f"no answer on {before} within {timeout:g} s"
        return None if workers.alive(master, self._proc) else "its processes are stopped or gone"

    def _learn(self, master: int) -> None:
        inodes = sockets(master, self._proc)
        if inodes != self._inodes:
            self._inodes = inodes
            self._listeners = listeners(inodes, self._proc)
        if self._answered not in self._listeners:
            self._answered = None


async def _first(candidates: Iterable[Listener], timeout: float) -> Listener | None:
    """Return the first listener that answers within `timeout` seconds; None if none does."""
    tasks = [asyncio.create_task(_answering(listener)) for listener in candidates]
    try:
        with suppress(TimeoutError):
            async for task in asyncio.as_completed(tasks, timeout=timeout):
                if (listener := await task) is not None:
                    return listener
        return None
    finally:
        for task in tasks:
            task.cancel()


async def _answering(listener: Listener) -> Listener | None:
    """Return the listener if it reacts to a connection that ends before it says anything."""
    try:
        await _talk(listener.family, (listener.host, listener.port), b"")
    except OSError as error:
        if error.errno in NONE_LEFT:
            raise
        return None
    return listener


async def _talk(
    family: socket.AddressFamily, address: str | tuple[str, int], request: bytes
) -> bytes:
    """Send `request`, nothing more, and return all that comes back."""
    loop = asyncio.get_running_loop()
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)  # noqa: FBT003 # the parameter has no name
        await loop.sock_connect(connection, address)
        await loop.sock_sendall(connection, request)
        if not request:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := await loop.sock_recv(connection, 4096):
            answer += data
        return answer
