import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import main
from sidecar.core.report import Report
from sidecar.host.paths import Paths
from sidecar.web.control import Orders, serve
from tests.unit.settings.example import CONFIG_FILE


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    error: str


Ha = Callable[..., Coroutine[Any, Any, Said]]
Daemon = Callable[[Report, Orders], AbstractAsyncContextManager[None]]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(run=tmp_path, state=tmp_path / "state", config=CONFIG_FILE.parent)


@pytest.fixture
def control_socket(paths: Paths) -> Path:
    return paths.control_socket


@pytest.fixture
def ha(paths: Paths, capsys: pytest.CaptureFixture[str]) -> Ha:
    """Run a command beside the loop that may serve the control socket."""

    async def run(*arguments: str) -> Said:
        code = await asyncio.to_thread(main, arguments, paths=paths)
        out, error = capsys.readouterr()
        return Said(code, out, error)

    return run


@pytest.fixture
def daemon(control_socket: Path) -> Daemon:
    """Serve the control socket as the daemon does."""

    @contextlib.asynccontextmanager
    async def serving(report: Report, orders: Orders) -> AsyncIterator[None]:
        task = asyncio.create_task(serve(lambda: report, orders, socket=control_socket))
        await until_it_listens(control_socket, task)
        yield
        task.cancel()
        await asyncio.wait([task])

    return serving


async def until_it_listens(path: Path, server: asyncio.Task[None]) -> None:
    while not server.done():
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return
    await server
