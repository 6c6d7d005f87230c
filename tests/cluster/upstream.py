"""A small web server that says which node asked; runs inside the container `upstream`."""

import asyncio
import json


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection with what it looked like from here."""
    asker = writer.get_extra_info("peername")[0]
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            request, *lines = head.decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            body = (
                json.dumps({"node": asker, "request": request, "headers": headers}).encode() + b"\n"
            )
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
    server = await asyncio.start_server(answer, None, 8080)
    await server.serve_forever()


asyncio.run(main())
