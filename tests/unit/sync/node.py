"""A node with real folders and a history, and a peer that has an edit of them."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from sidecar.core.history.guard import Rules
from sidecar.core.history.manifest import encode, identify
from sidecar.core.history.snapshot import Snapshot, Tree
from sidecar.core.settings import Address
from sidecar.core.sync_report import Progress, SyncReport
from sidecar.errors import SidecarError
from sidecar.host.worker import Worker
from sidecar.sync.desk import Desk
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.orders import Orders
from sidecar.sync.passes import Passes
from sidecar.sync.ports import Ports
from sidecar.sync.pulls import Pulls
from sidecar.sync.store import History
from sidecar.sync.verify import Verifier
from sidecar.sync.workspace import Workspace
from tests.unit.trees import file

PEER = "192.0.2.12"
FAILURE = SidecarError("cannot do it: no room", "make room")


class Served:
    """A service that likes everything, until it is told to fail."""

    def __init__(self) -> None:
        self.failure: SidecarError | None = None
        self.complaint: str | None = None
        self.refusal: str | None = None
        self.ill: str | None = None
        self.tried = 0
        self.ensured: list[Tree | None] = []
        self.rest = 0.0
        self.asked, self.answering = asyncio.Event(), asyncio.Event()
        self.answering.set()

    async def try_own(self, _tree: Tree) -> str | None:
        self.tried += 1
        return self.complaint

    async def try_peers(self, _tree: Tree | None) -> str | None:
        self.tried += 1
        self.asked.set()
        await self.answering.wait()
        if self.failure:
            raise self.failure
        return self.refusal

    async def ensure(self, tree: Tree | None) -> None:
        self.ensured.append(tree)

    async def cooldown(self, _tree: Tree) -> float:
        return self.rest

    def hurry(self) -> None:
        self.rest = 0.0

    def well(self) -> str | None:
        return self.ill


class Transfer:
    """Brings the one snapshot that the peer offers, until it is told to fail."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.fetching: dict[str, Progress] = {}
        self.failure: SidecarError | None = None
        self.offer: Snapshot
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.has = b"new"
        """The one content that the peer has."""
        self.asked = 0

    async def fetch_manifests(
        self, _peer: Address, _ids: Collection[str] | None = None
    ) -> frozenset[str]:
        await self.flowing.wait()
        if self.failure:
            raise self.failure
        self._history.put(b"new")
        return frozenset({self._history.add(self.offer)})

    async def fetch_objects(self, _peer: Address, sizes: Mapping[str, int]) -> frozenset[str]:
        self.asked += 1
        if sizes:
            self._history.put(self.has)
        return frozenset(sizes)

    async def close(self) -> None:
        """Nothing is open."""


class Node:
    """A node with a site, and a peer with an edit of it."""

    def __init__(
        self, directory: Path, *, soak: float = 0.0, exclude: tuple[str, ...] = ()
    ) -> None:
        root = directory / "tree"
        self.site = root / "site.conf"
        if not root.exists():
            root.mkdir()
            self.site.write_text("old")
        workspace = Workspace((str(root),), exclude, directory / "state")
        self.workspace, self.history = workspace, workspace.history
        self.served = Served()
        self.transfer = Transfer(self.history)
        self.worker = Worker("sync")
        # all that pulls ask for
        self.pulls = Pulls(self.transfer, self.history, RETRY)  # type: ignore[arg-type]
        ports = Ports(self.worker, self.served, self.pulls, lambda: None)
        rules, address = Rules(roots=workspace.roots), "192.0.2.11"
        self.engine = Engine(workspace, rules, ports, node=address, soak=soak, keep=50)
        self.passes = Passes(self.engine, self.worker, self.pulls, self.served.well)
        orders = Orders(self.engine, workspace, ports, address)
        verifier = Verifier(self.history, self.engine, self.worker, self.pulls)
        self.desk = Desk(orders, self.worker, self.passes, self.pulls, verifier)

    @property
    def head(self) -> str | None:
        return self.engine.head

    def report(self) -> SyncReport:
        return self.engine.report(0.0)

    async def make_pass(self) -> float | None:
        """Make one pass; return what it says."""
        return await self.passes._pass()

    async def make_passes(self) -> float | None:
        """Make passes until no pull is under way; return what the last one says."""
        while True:
            await self.pulls.wait()
            before = self.pulls.begun
            pause = await self.make_pass()
            if self.pulls.begun == before:
                return pause

    async def fill(self) -> None:
        """Bring what is missing of the past."""
        await self.pulls.fill(await self.worker.do(self.engine.kept))

    def tree(self) -> set[str]:
        """The names in the head."""
        head = self.history.head()
        assert head is not None
        return {Path(path).name for path in self.history.get(head).tree}

    async def hear_of_an_edit(self) -> str:
        """Accept what lies here, let the peer have a successor; return that."""
        assert await self.make_pass() is None
        head = self.history.head()
        assert head is not None
        tree = {str(self.site): file("new", mode=self.site.stat().st_mode & 0o777)}
        mine = self.history.get(head)
        self.transfer.offer = replace(mine, tree=tree, parents=(head,), node=PEER)
        name = identify(encode(self.transfer.offer))
        self.passes.see({PEER: name})
        return name
