"""A listening socket that no crowd keeps others from, and that a crowd costs little.

accepted -> waiting for its first byte -> served -> closed

A connection that says nothing is only a socket. What says something is served at a bounded pace, so
that the loop has time for all else. When all places are taken, the source that has most of them
loses its oldest connection: a client that comes alone is answered, however many others one sends.
"""

import asyncio
import ipaddress
import logging
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, override

log = logging.getLogger(__name__)

BACKLOG: Final = 512
"""Connections that the kernel keeps until they are accepted."""

_PAUSE: Final = 0.01
"""Seconds between two looks at who has come, and who has said something."""

_ACCEPTED: Final = 32
"""Connections accepted at a look."""

_SERVED: Final = 4
"""Connections that begin to be served at a look."""

_RETRY: Final = 1.0
"""Seconds until accepting is tried again after it failed, e.g. without a free descriptor."""

_TOLD_EVERY: Final = 60.0
"""Seconds between two log lines about a crowd."""


class Door:
    """Accepts connections on a bound socket and hands each to a protocol that `serve` returns.

    Given: `name` for the log, `room` for how many connections may be open, `lifetime`, the seconds
    after which a connection is cut whatever it does (None: its protocol sees to that), and
    `first_byte`, the seconds that it has to say something.
    """

    def __init__(
        self,
        listener: socket.socket,
        serve: Callable[[], asyncio.Protocol],
        *,
        name: str,
        room: int,
        lifetime: float | None,
        first_byte: float = 5.0,
    ) -> None:
        self._listener, self._serve = listener, serve
        self._name, self._room = name, room
        self._lifetime, self._first_byte = lifetime, first_byte
        self._loop = asyncio.get_running_loop()
        self._sources: dict[str, dict[_Guest, None]] = {}
        """The open connections of each source, oldest first."""
        self._open = 0
        self._ready: deque[_Guest] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._failing = False
        self._told = float("-inf")
        listener.settimeout(0)
        listener.listen(BACKLOG)
        self._listen()

    def close(self) -> None:
        """Accept nobody any more; whoever is being served stays."""
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for guest in self._guests():
            if not guest.served:
                guest.drop()

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        self._loop.remove_reader(self._listener)
        pause = _PAUSE
        try:
            for _ in range(_ACCEPTED):
                self._admit(*self._listener.accept())
            self._failing = False
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            self._failing = False
        except OSError as error:
            pause = _RETRY
            if not self._failing:
                log.error("cannot accept connections to %s: %s", self._name, error.strerror)  # noqa: TRY400
            self._failing = True
        self._later(pause, self._listen)

    def _admit(self, connection: socket.socket, address: object) -> None:
        if self._open >= self._room:
            self._drop_one()
        connection.settimeout(0)
        guest = _Guest(
            connection, _source(address), self._loop, on_ready=self._greet, on_end=self._forget
        )
        self._sources.setdefault(guest.source, {})[guest] = None
        self._open += 1
        if self._sweep not in self._timers:
            self._later(1.0, self._sweep)

    def _drop_one(self) -> None:
        source, guests = max(self._sources.items(), key=lambda item: len(item[1]))
        now = self._loop.time()
        if now - self._told > _TOLD_EVERY:
            self._told = now
            most = f", {len(guests)} of them from {source}" if source else ""
            log.warning("%s has %d connections%s: closing the oldest", self._name, self._room, most)
        next(iter(guests)).drop()

    def _greet(self, guest: "_Guest") -> None:
        self._ready.append(guest)
        if self._serve_some not in self._timers:
            self._serve_some()

    def _serve_some(self) -> None:
        self._timers.pop(self._serve_some, None)
        begun = 0
        while self._ready and begun < _SERVED:
            guest = self._ready.popleft()
            if not guest.dropped:
                begun += 1
                task = self._loop.create_task(guest.enter(self._serve()), name=self._name)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if begun:
            self._later(_PAUSE, self._serve_some)

    def _sweep(self) -> None:
        """Cut those whose time is over."""
        self._timers.pop(self._sweep, None)
        now = self._loop.time()
        for guest in self._guests():
            patience = self._lifetime if guest.served else self._first_byte
            if patience is not None and now - guest.came > patience:
                guest.drop()
        if self._open:
            self._later(1.0, self._sweep)

    def _guests(self) -> list["_Guest"]:
        return [guest for guests in self._sources.values() for guest in guests]

    def _forget(self, guest: "_Guest") -> None:
        self._open -= 1
        guests = self._sources[guest.source]
        del guests[guest]
        if not guests:
            del self._sources[guest.source]

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers[action] = self._loop.call_later(seconds, action)


class _Guest(asyncio.Protocol):
    """One connection: a bare socket until it says something, then a transport.

    It stands between that and the protocol which serves it, to notice the end.
    """

    def __init__(
        self,
        connection: socket.socket,
        source: str,
        loop: asyncio.AbstractEventLoop,
        *,
        on_ready: Callable[["_Guest"], None],
        on_end: Callable[["_Guest"], None],
    ) -> None:
        self.source = source
        self.came = loop.time()
        self.dropped = False
        self._connection, self._loop = connection, loop
        self._on_ready, self._on_end = on_ready, on_end
        self._protocol: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        loop.add_reader(connection, self._hear)

    @property
    def served(self) -> bool:
        """It has said something and has a protocol."""
        return self._protocol is not None

    async def enter(self, protocol: asyncio.Protocol) -> None:
        """Let `protocol` serve the connection."""
        self._protocol = protocol
        try:
            await self._loop.connect_accepted_socket(lambda: self, self._connection)
        except OSError:
            self.drop()
            self._connection.close()

    def drop(self) -> None:
        """Cut the connection, whatever it does."""
        if self.dropped:
            return
        self.dropped = True
        self._on_end(self)
        if self._transport is not None:
            self._transport.abort()
        elif not self.served:
            self._loop.remove_reader(self._connection)
            self._connection.close()

    def _hear(self) -> None:
        said = b""
        with suppress(OSError):
            said = self._connection.recv(1, socket.MSG_PEEK)
        self._loop.remove_reader(self._connection)
        if said:
            self._on_ready(self)
        else:
            self.drop()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert self._protocol is not None
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._protocol.connection_made(transport)
        if self.dropped:
            transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        assert self._protocol is not None
        if not self.dropped:
            self.dropped = True
            self._on_end(self)
        self._protocol.connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        assert self._protocol is not None
        self._protocol.data_received(data)

    @override
    def eof_received(self) -> bool | None:
        assert self._protocol is not None
        return self._protocol.eof_received()

    @override
    def pause_writing(self) -> None:
        assert self._protocol is not None
        self._protocol.pause_writing()

    @override
    def resume_writing(self) -> None:
        assert self._protocol is not None
        self._protocol.resume_writing()


def listen_on(host: str, port: int) -> socket.socket:
    """Return a TCP socket that is bound to an address; raise OSError if that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return _bound(family, (host, port))


def listen_at(path: Path) -> socket.socket:
    """Return a unix socket at `path`, in place of one that was left over; raise OSError."""
    path.unlink(missing_ok=True)
    return _bound(socket.AF_UNIX, str(path))


def _bound(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _source(address: object) -> str:
    """Return who connects: an IPv4 address, the network of an IPv6 one; nothing if it is local."""
    if not isinstance(address, tuple):
        return ""
    prefix = 64 if ":" in address[0] else 32
    return str(ipaddress.ip_interface(f"{address[0].partition('%')[0]}/{prefix}").network)
