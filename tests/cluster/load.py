"""Opens a new connection per request at a steady pace; runs inside the container `client`.

Usage: load.py ADDRESS PORT HOST RATE. Never retries, gives a request 2 s, ends when standard input
ends. Prints one JSON line per request: [start, end, node or null, error or null]; the times are
seconds of CLOCK_MONOTONIC, which is the same clock in every container of a machine.
"""

import asyncio
import json
import sys
import time

TIMEOUT = 2


async def fetch(address: str, port: int, host: str) -> str:
    """Return which node answered; raise an error if none did as it should."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0]
    if b" 200 " not in status + b" ":
        raise ConnectionError(status.decode() or "empty answer")
    return str(json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["node"])


async def request(address: str, port: int, host: str) -> None:
    """Make one request and print what became of it."""
    node = failure = None
    start = time.monotonic()
    try:
        node = await asyncio.wait_for(fetch(address, port, host), TIMEOUT)
    except (OSError, TimeoutError, ValueError, LookupError) as error:
        failure = f"{type(error).__name__}: {error}"
    sys.stdout.write(json.dumps([start, time.monotonic(), node, failure]) + "\n")
    sys.stdout.flush()


async def main(address: str, port: str, host: str, rate: str) -> None:
    """Start requests at the given pace until standard input ends, then wait for the last ones."""
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    pause = 1 / float(rate)
    due = time.monotonic()
    async with asyncio.TaskGroup() as requests:
        while not ended.done():
            requests.create_task(request(address, int(port), host))
            due += pause
            await asyncio.sleep(max(0, due - time.monotonic()))


asyncio.run(main(*sys.argv[1:]))
