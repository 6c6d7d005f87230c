import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sidecar.sync.transfer import Transfer
from tests.integration.sync.node import Node, serving
from tests.integration.sync.pulling import pulling


@pytest.fixture
def directory() -> Iterator[Path]:
    # Short, since the path of a unix socket has at most 107 characters.
    path = Path(tempfile.mkdtemp(prefix="sync-", dir="/run"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def node(directory: Path) -> AsyncIterator[Node]:
    async with serving(directory / "a") as node:
        yield node


@pytest.fixture
def history(directory: Path) -> Path:
    return directory / "b" / "history"


@pytest.fixture
async def transfer(directory: Path, history: Path) -> AsyncIterator[Transfer]:
    async with pulling(directory / "b" / "run", history) as transfer:
        yield transfer


@pytest.fixture
def slow() -> Iterator[None]:
    """Limit the loopback interface so that there is a middle of a pull."""
    # 15 MB/s; a namespace of our own, so nobody else is slowed down.
    shape = "tbf rate 120mbit burst 256kb latency 200ms"
    subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *shape.split()], check=True)
    yield
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)
