"""Who gets in when many come."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import override

from sidecar.host.door import Door, listen_at, listen_on

HERE = "127.0.0.1"


class Echo(asyncio.Protocol):
    """Sends back what it gets, in capitals."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


@asynccontextmanager
async def open_door(
    *, room: int = 4, lifetime: float | None = None, first_byte: float = 5.0
) -> AsyncIterator[int]:
    """Serve on a port, and return it."""
    listener = listen_on(HERE, 0)
    door = Door(listener, Echo, name="test", room=room, lifetime=lifetime, first_byte=first_byte)
    try:
        yield listener.getsockname()[1]
    finally:
        door.close()


@contextmanager
def crowd(port: int, source: str, count: int, says: bytes = b"") -> Iterator[list[socket.socket]]:
    """Hold `count` connections from one address."""
    connections = []
    for _ in range(count):
        connection = socket.create_connection((HERE, port), source_address=(source, 0))
        connections.append(connection)
        connection.settimeout(0)
        connection.send(says)
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


async def ask(port: int, source: str, word: str = "word") -> str:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(HERE, port, local_addr=(source, 0))
        writer.write(word.encode())
        answer = await reader.read(100)
        writer.close()
        return answer.decode()


async def cut(connection: socket.socket) -> None:
    """Wait until the other side has ended a connection."""
    async with asyncio.timeout(5):
        try:
            while await asyncio.get_running_loop().sock_recv(connection, 100):
                pass
        except ConnectionResetError:
            pass


async def test_who_comes_alone_is_answered_beside_a_crowd_that_says_nothing() -> None:
    async with open_door(room=4) as port:
        with crowd(port, "127.0.0.2", 40):
            assert await ask(port, "127.0.0.3") == "WORD"


async def test_who_comes_alone_is_answered_beside_a_crowd_that_talks() -> None:
    async with open_door(room=4) as port:
        with crowd(port, "127.0.0.2", 40, b"x"):
            assert await ask(port, "127.0.0.3") == "WORD"


async def test_the_source_with_the_most_connections_loses_its_oldest() -> None:
    async with open_door(room=4) as port:
        with crowd(port, "127.0.0.2", 1, b"x") as alone, crowd(port, "127.0.0.3", 4, b"x") as many:
            await cut(many[0])
            loop = asyncio.get_running_loop()
            for connection in (*alone, *many[1:]):
                async with asyncio.timeout(5):
                    assert await loop.sock_recv(connection, 100) == b"X"


async def test_all_are_served_in_the_end_when_there_is_room() -> None:
    async with open_door(room=100) as port:
        answers = await asyncio.gather(*(ask(port, "127.0.0.2", f"n{i}") for i in range(80)))
    assert answers == [f"N{i}" for i in range(80)]


async def test_a_connection_that_says_nothing_is_cut() -> None:
    async with open_door(first_byte=0.1) as port:
        with crowd(port, "127.0.0.2", 1) as connections:
            await cut(connections[0])


async def test_a_connection_that_talks_too_long_is_cut() -> None:
    async with open_door(lifetime=0.1) as port:
        with crowd(port, "127.0.0.2", 1, b"x") as connections:
            await cut(connections[0])


async def test_a_connection_that_ends_without_a_word_makes_room() -> None:
    async with open_door(room=1) as port:
        for _ in range(3):
            with crowd(port, "127.0.0.2", 1):
                pass
        assert await ask(port, "127.0.0.3") == "WORD"


async def test_without_a_free_descriptor_it_waits_and_goes_on() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with open_door() as port:
        with socket.socket() as client:
            client.settimeout(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno(), hard))
            try:
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, (HERE, port))
                await loop.sock_sendall(client, b"word")
                await asyncio.sleep(0.1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            async with asyncio.timeout(5):
                assert await loop.sock_recv(client, 100) == b"WORD"


async def test_when_it_is_closed_nobody_gets_in_and_who_waits_is_cut() -> None:
    async with open_door() as port:
        with crowd(port, "127.0.0.2", 1) as connections:
            await ask(port, "127.0.0.3")
        waiting = connections[0]
    assert waiting.fileno() == -1
    with socket.socket() as late:
        assert late.connect_ex((HERE, port)) != 0


async def test_a_socket_that_was_left_over_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    listen_at(path).close()
    door = Door(listen_at(path), Echo, name="test", room=1, lifetime=None)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"word")
    assert await reader.read(10) == b"WORD"
    writer.close()
    door.close()
