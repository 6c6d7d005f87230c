"""An application behind the nodes, such as those that tests/cluster/web.py starts in containers.

Usage: app.py PORT. Answers with JSON: who it is (`by`), who asked (`node`), the request, its
headers and the size of its body. `/stream` says a word each 0.1 s; with `Upgrade` it echoes what
comes. `/sick` makes the file with which its HEALTHCHECK fails, a start removes it.
"""

import asyncio
import json
import pathlib
import socket
import sys

SICK = pathlib.Path("/tmp/sick")


async def body_size(reader: asyncio.StreamReader, headers: dict[str, str]) -> int:
    """Read a body to its end and return how large it was."""
    size = 0
    if headers.get("transfer-encoding") == "chunked":
        while chunk := int(await reader.readline(), 16):
            await reader.readexactly(chunk + 2)
            size += chunk
        await reader.readline()
        return size
    left = int(headers.get("content-length", 0))
    while size < left:
        size += len(await reader.read(min(65536, left - size)))
    return size


async def stream(writer: asyncio.StreamWriter) -> None:
    """Say ten words, one after the other."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    for number in range(10):
        writer.write(b"data: %d\n\n" % number)
        await writer.drain()
        await asyncio.sleep(0.1)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Switch protocols and give back what comes."""
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
    )
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()


def fall_sick() -> None:
    """Let the HEALTHCHECK fail from now on."""
    SICK.touch()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection."""
    asker = writer.get_extra_info("peername")[0]
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            request, *lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            path = request.split()[1]
            if "upgrade" in headers:
                return await echo(reader, writer)
            if path.endswith("/stream"):
                return await stream(writer)
            if path.endswith("/sick"):
                fall_sick()
            said = {
                "by": socket.gethostname(),
                "node": asker,
                "request": request,
                "headers": headers,
                "size": await body_size(reader, headers),
            }
            body = json.dumps(said).encode() + b"\n"
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until the container ends."""
    server = await asyncio.start_server(answer, None, int(sys.argv[1]))
    await server.serve_forever()


SICK.unlink(missing_ok=True)
asyncio.run(main())
