"""A node that has nothing but its link; in the test's process, or in one of its own:

python -m tests.integration.link.node DIRECTORY OWN_ADDRESS PEER_ADDRESS SECRET
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sidecar.core.report import NodeState, PeerReport
from sidecar.core.settings import Identity
from sidecar.host.broadcast import Broadcast
from sidecar.host.paths import Paths
from sidecar.host.supervise import Supervisor
from sidecar.peers.mesh import Mesh
from sidecar.programs import ssh
from sidecar.programs.ssh_keys import keys

PORT = 18730
A, B = "127.0.0.11", "127.0.0.12"
SECRET = "a secret that all nodes of the test share"


def identity(own: str, *peers: str) -> Identity:
    return Identity(
        node=ip_address(own), index=0, interface="lo", peers=tuple(ip_address(p) for p in peers)
    )


@dataclass(kw_only=True)
class Node:
    mesh: Mesh
    sshd: Supervisor
    sshd_lines: list[str]
    paths: Paths
    identity: Identity

    def state(self, *, node: str | None = None, **fields: object) -> NodeState:
        return NodeState(node=node or str(self.identity.node), version="0.1.0", **fields)  # type: ignore[arg-type]

    def peer(self) -> PeerReport:
        (peer,) = self.mesh.peers()
        return peer

    def seen(self) -> NodeState:
        """What the peer says of itself, or a state that says nothing."""
        return self.peer().state or self.state()


def places(run: Path) -> Paths:
    return Paths(run=run, programs=Path(__file__).parents[3] / "config" / "bin")


@asynccontextmanager
async def running(
    run: Path, own: str, peer: str, *, secret: str = SECRET, shown: int = 0
) -> AsyncIterator[Node]:
    who, paths = identity(own, peer), places(run)
    ssh.install(paths, who, keys=[*map(keys, secret.split(","))], port=PORT, shown=shown)
    program, lines = ssh.sshd(paths), list[str]()
    program.on_line = lines.append
    node = Node(
        mesh=Mesh(who, Broadcast(), port=PORT, paths=paths),
        sshd=Supervisor(program),
        sshd_lines=lines,
        paths=paths,
        identity=who,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(node.sshd.run()), group.create_task(node.mesh.run())]
        try:
            yield node
        finally:
            for task in tasks:
                task.cancel()


async def until(condition: Callable[[], object], *, within: float) -> float:
    """Wait until `condition` holds and return the seconds that took; fail after `within`."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within, f"not so within {within:g} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - begun


async def live(arguments: Sequence[str]) -> None:
    run, own, peer, secret = arguments
    async with running(Path(run), own, peer, secret=secret):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1:]))
