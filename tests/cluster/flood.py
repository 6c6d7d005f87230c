"""Holds many connections to one port; runs inside a container of the world.

Usage: flood.py KIND COUNT ADDRESS PORT. Keeps COUNT connections, opens another one for each that
ends, and ends when standard input ends. Prints how many it has opened, now and then.

KIND says what a connection does: `idle` nothing; `slow` begins a request and never ends it; `get`
asks for /metrics, again and again; `mute` asks and never reads the answer; `churn` ends at once.
"""

import asyncio
import json
import os
import resource
import sys

AT_A_TIME = 200
"""Connections that are being opened at a time."""

PAUSES = {"idle": 5, "slow": 5, "mute": 1}
"""Seconds until a connection that was cut is replaced: the crowd must not starve the machine."""


class Flood:
    """All connections of this process."""

    def __init__(self, kind: str, address: str, port: int) -> None:
        self.kind, self.address, self.port = kind, address, port
        self.turn = asyncio.Semaphore(AT_A_TIME)
        self.opened = self.answered = 0

    async def keep(self) -> None:
        """Keep one connection, for ever."""
        while True:
            try:
                async with self.turn:
                    reader, writer = await asyncio.wait_for(
                        asyncio.open_connection(self.address, self.port, limit=2048), 5
                    )
                    self.opened += 1
                try:
                    await self.use(reader, writer)
                finally:
                    writer.transport.abort()
            except (OSError, TimeoutError):
                pass
            await asyncio.sleep(PAUSES.get(self.kind, 0))

    async def use(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do with a connection what this kind does."""
        if self.kind == "churn":
            return
        if self.kind == "mute":
            writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a transport of both
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            await asyncio.sleep(3600)
        if self.kind == "slow":
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
            while not reader.at_eof():
                writer.write(b"X: x\r\n")
                try:
                    await asyncio.wait_for(reader.read(1), 1)
                except TimeoutError:
                    continue
        while self.kind == "get":
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            if not await reader.read(65536):
                return
            self.answered += 1
        await reader.read()


async def main(kind: str, count: str, address: str, port: str) -> None:
    """Hold the connections until standard input ends."""
    os.nice(19)  # an attacker has cores of its own
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    flood = Flood(kind, address, int(port))
    holders = [asyncio.create_task(flood.keep()) for _ in range(int(count))]
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        await asyncio.wait([ended], timeout=0.5)
        print(json.dumps([flood.opened, flood.answered]), flush=True)
    os._exit(0 if holders else 1)  # ending thousands of tasks one by one takes a minute


asyncio.run(main(*sys.argv[1:]))
