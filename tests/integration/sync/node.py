"""A node that others can pull from, and what it has."""

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.history.manifest import encode, identify
from sidecar.core.history.snapshot import Entry, Kind, Snapshot
from sidecar.host.supervise import Supervisor
from sidecar.programs import rsync, ssh
from sidecar.programs.ssh_keys import keys
from sidecar.sync.store import History
from tests.integration.link.node import PORT, SECRET, A, B, identity, places
from tests.integration.link.test_link import descendants


@dataclass(kw_only=True)
class Node:
    run: Path
    history: Path
    sshd: Supervisor

    def objects(self) -> Path:
        return self.history / "objects"

    def offer(self, content: bytes, *, name: str = "") -> str:
        """Put an object into the history, under the hash of its content or another `name`."""
        name = name or hashlib.sha256(content).hexdigest()
        (self.objects() / name).write_bytes(content)
        return name

    def offer_manifest(self, *parents: str, summary: str = "") -> str:
        """Put a manifest into the history."""
        text = manifest(*parents, summary=summary)
        (self.history / "snapshots" / identify(text)).write_bytes(text)
        return identify(text)

    def processes(self) -> list[int]:
        """What serves others at this moment: sshd and all that it has started."""
        assert self.sshd.pid is not None
        return descendants(self.sshd.pid)


def manifest(*parents: str, summary: str = "") -> bytes:
    entry = Entry(kind=Kind.FILE, mode=0o644, digest="0" * 64, size=1)
    return encode(
        Snapshot(
            roots=("/etc/nginx",),
            tree={"/etc/nginx/nginx.conf": entry},
            parents=tuple(sorted(parents)),
            node=A,
            time=1.0,
            summary=summary,
        )
    )


def noise(size: int) -> bytes:
    return random.randbytes(size)


@asynccontextmanager
async def serving(
    directory: Path, own: str = A, peer: str = B, *, secret: str = SECRET
) -> AsyncIterator[Node]:
    """Run a node's sshd with its rsync module; its run directory is `directory`/run."""
    run, history = directory / "run", directory / "history"
    paths = places(run)
    ssh.install(paths, identity(own, peer), keys=[keys(secret)], port=PORT)
    History(history)
    rsync.install(paths, history)
    node = Node(run=run, history=history, sshd=Supervisor(ssh.sshd(paths)))
    task = asyncio.create_task(node.sshd.run())
    try:
        await _listening(own)
        yield node
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _listening(address: str) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, PORT)
            except OSError:  # nobody listens yet, or the kernel has not yet made the route
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


def received() -> int:
    """Return the bytes that went over the loopback interface of this container."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[0])
    raise AssertionError("no lo")


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
