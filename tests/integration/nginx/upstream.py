"""An application behind nginx that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Upstream:
    port: int = 0
    connections: int = 0
    requests: list[str] = field(default_factory=list)
    headers: str = ""
    """Further lines of the answer."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(
                    f"HTTP/1.1 200 OK\r\n{self.headers}Content-Length: 2\r\n\r\nup".encode()
                )
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    application = Upstream()
    server = await asyncio.start_server(application.serve, "127.0.0.1", 0)
    application.port = server.sockets[0].getsockname()[1]
    try:
        yield application
    finally:
        server.close()
