"""A node that pulls from another one on 127.0.0.x, and what has arrived."""

import os
import subprocess
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from sidecar.core.history.snapshot import MAX_BYTES
from sidecar.programs import ssh
from sidecar.programs.rsync import Module
from sidecar.programs.ssh_keys import keys
from sidecar.sync.store import History
from sidecar.sync.transfer import Transfer
from tests.integration.link.node import PORT, SECRET, A, B, identity, places, until
from tests.integration.link.test_link import descendants
from tests.integration.sync.node import Node

PEER = ip_address(A)


BIG = 64 * 1024 * 1024


@asynccontextmanager
async def pulling(
    run: Path, history: Path, own: str = B, peer: str = A, *, secret: str = SECRET
) -> AsyncIterator[Transfer]:
    paths, who = places(run), identity(own, peer)
    ssh.install(paths, who, keys=[keys(secret)], port=PORT)
    transfer = Transfer(paths, who, port=PORT, history=History(history))
    try:
        yield transfer
    finally:
        await transfer.close()


def client(directory: Path) -> list[str]:
    """Return the ssh command of the pulling node, without host and command."""
    return ssh.sharing_command(
        places(directory / "b" / "run"), node=ip_address(B), peer=PEER, port=PORT
    )


def room(names: Collection[str]) -> dict[str, int]:
    """Return the bytes that each object may have, where a test does not care."""
    return dict.fromkeys(names, MAX_BYTES // max(4, len(names)))


def has(history: Path, module: Module, node: Node) -> bool:
    """Tell whether a history has the same files as that of `node`, in one of its directories."""
    mine, theirs = (
        {path.name: path.read_bytes() for path in (place / module.value).iterdir()}
        for place in (history, node.history)
    )
    return mine == theirs


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def everywhere(directory: Path, name: str) -> list[Path]:
    return [*directory.rglob(name)]


def running(program: str, argument: str) -> list[int]:
    """Return the process ids of our own runs of a program with that argument."""

    def command(pid: int) -> list[str]:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return [""]

    found = ((pid, command(pid)) for pid in descendants(os.getpid()))
    return [pid for pid, words in found if words[0] == program and argument in words]


def keeper() -> int:
    """Return the process id of the ssh that keeps the connection."""
    (pid,) = running("ssh", "ControlMaster=yes")
    return pid


async def in_the_middle(history: Path) -> None:
    """Wait until a part of the big file has arrived, in the temporary file that rsync makes."""

    def arrived() -> int:
        return sum(path.stat().st_size for path in (history / "incoming" / A).rglob(".*"))

    await until(lambda: arrived() > BIG // 4, within=10)


def run(*command: str, stdin: str = "") -> int:
    """Run a command and return its exit code."""
    return subprocess.run(command, input=stdin.encode(), check=False, timeout=20).returncode
