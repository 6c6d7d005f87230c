"""A real nginx in the place of the product: /etc/nginx, /run/ha, a read-only root."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from sidecar.core.settings import Settings, Site
from sidecar.host import files
from sidecar.host.paths import Paths
from sidecar.host.process import Child
from sidecar.programs import nginx
from sidecar.programs.nginx import workers
from tests.unit.settings.example import load_with

ROOT = Path(__file__).parents[3]
PATHS = Paths(config=ROOT / "config")
SETTINGS = load_with().settings

OWN = """
worker_processes 2;
events {}
http {
    access_log /dev/stdout;
    %s
}
"""
"""A configuration without our include."""


def settings(**sites: str) -> Settings:
    """Return settings with sites; `__` in a name is a dot."""
    pairs = (Site(host=host.replace("__", "."), url=url) for host, url in sites.items())
    return replace(SETTINGS, sites=tuple(pairs))


def render(wanted: Settings = SETTINGS) -> None:
    for path, text in nginx.rendered(wanted, PATHS).items():
        files.write(path, text)


def write(name: str, text: str) -> Path:
    path = PATHS.nginx / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Server:
    """A running nginx and what it says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.emergencies = nginx.Emergencies()
        self.child: Child

    def hear(self, line: str) -> None:
        self.lines.append(line)
        self.emergencies.hear(line)

    def said(self, words: str) -> bool:
        return any(words in line for line in self.lines)

    @property
    def master(self) -> int:
        return self.child.pid

    async def reload(self, timeout: float = 5.0) -> str | None:
        return await nginx.reload(self.master, self.emergencies, timeout=timeout)

    async def freeze(self) -> None:
        self.child.kill_group(signal.SIGSTOP)
        await until(lambda: not workers.alive(self.master))

    def thaw(self) -> None:
        self.child.kill_group(signal.SIGCONT)


@asynccontextmanager
async def running() -> AsyncIterator[Server]:
    server = Server()
    nginx.remove_sockets(PATHS)
    server.child = await Child.start(nginx.command(), on_line=server.hear)
    try:
        await until(lambda: bool(workers.serving(server.master)) or _ended(server))
        yield server
    finally:
        server.thaw()
        await server.child.stop((signal.SIGTERM, 2.0))


def _ended(server: Server) -> bool:
    assert server.child.returncode is None, server.lines
    return False


async def until(done: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # nobody tells when a process is ready
            await asyncio.sleep(0.01)


async def get(
    host: str, path: str = "/", *, address: str = "127.0.0.1", port: int = 80, headers: str = ""
) -> str:
    """Return the whole answer to a GET, head and body."""
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers or 'Connection: close\r\n'}\r\n".encode()
    )
    try:
        async with asyncio.timeout(5):
            return (await reader.read()).decode()
    finally:
        writer.close()


async def complaint() -> str:
    """Return why nginx refuses the configuration on disk; empty if it accepts it."""
    return (await nginx.verdict()).error or ""
