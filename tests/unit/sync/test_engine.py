"""What the engine does about failures: it says them, and tries again at a pace."""

import shutil
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.guard import Rules
from sidecar.core.settings import Address
from sidecar.core.snapshot import Snapshot, encode, identify
from sidecar.errors import SidecarError
from sidecar.sync.engine import RETRY, Engine
from sidecar.sync.store import History
from sidecar.sync.workspace import Workspace
from tests.unit.trees import file

PEER = "192.0.2.12"
FAILURE = SidecarError("cannot do it: no room", "make room")


class Served:
    """A service that likes everything, until it is told to fail."""

    def __init__(self) -> None:
        self.failure: SidecarError | None = None

    async def try_own(self) -> str:
        return ""

    async def try_peers(self) -> str:
        if self.failure:
            raise self.failure
        return ""

    def well(self) -> str:
        return ""


class Transfer:
    """Brings the one snapshot that the peer offers, until it is told to fail."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.failure: SidecarError | None = None
        self.offer: Snapshot

    async def fetch_manifests(
        self, _peer: Address, _ids: Collection[str] | None = None
    ) -> frozenset[str]:
        if self.failure:
            raise self.failure
        self._history.put(b"new")
        return frozenset({self._history.add(self.offer)})

    async def fetch_objects(self, _peer: Address, digests: Collection[str]) -> frozenset[str]:
        return frozenset(digests)

    async def close(self) -> None:
        """Nothing is open."""


class Node:
    """A node with a site, and a peer with an edit of it."""

    def __init__(self, directory: Path) -> None:
        root = directory / "tree"
        root.mkdir()
        self.site = root / "site.conf"
        self.site.write_text("old")
        workspace = Workspace((str(root),), (), directory / "state")
        self.history = workspace.history
        self.served = Served()
        self.transfer = Transfer(self.history)
        self.engine = Engine(
            workspace,
            Rules(roots=workspace.roots),
            self.transfer,  # type: ignore[arg-type] # all that an engine asks for
            self.served,
            node="192.0.2.11",
            soak=0.0,
            keep=50,
            on_change=lambda: None,
        )

    async def hear_of_an_edit(self) -> str:
        """Accept what lies here, let the peer have a successor; return that."""
        assert await self.engine._pass() is None
        head = self.history.head()
        assert head is not None
        tree = {str(self.site): file("new", mode=self.site.stat().st_mode & 0o777)}
        mine = self.history.get(head)
        self.transfer.offer = replace(mine, tree=tree, parents=(head,), node=PEER)
        name = identify(encode(self.transfer.offer))
        self.engine.see({PEER: name})
        return name


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_a_peers_edit_is_taken_over_and_nothing_is_left_to_do(node: Node) -> None:
    name = await node.hear_of_an_edit()
    assert await node.engine._pass() is None
    assert node.site.read_text() == "new"
    assert node.engine.head == name


async def test_a_failed_pull_is_told_with_its_way_out_and_tried_again_later(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.transfer.failure = FAILURE
    pause = await node.engine._pass()
    assert pause == pytest.approx(RETRY.first, abs=1)
    (peer,) = node.engine.report(0.0).peers
    assert (peer.error, peer.hint) == (FAILURE.message, FAILURE.hint)
    node.transfer.failure = None
    node.engine._retry[PEER] = time.monotonic()
    assert await node.engine._pass() is None
    (peer,) = node.engine.report(0.0).peers
    assert (peer.error, peer.hint, peer.in_sync) == ("", "", True)
    assert node.engine.head == name


async def test_a_failed_apply_is_told_and_not_tried_again_at_once(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.served.failure = FAILURE
    assert await node.engine._pass() == pytest.approx(RETRY.first, abs=1)
    assert node.site.read_text() == "old"
    said = "cannot do it: no room; make room"
    assert node.engine.report(0.0).rejected == {name: said}
    node.served.failure = None
    assert await node.engine._pass() == pytest.approx(RETRY.first, abs=1)
    assert node.site.read_text() == "old"


async def test_what_was_refused_and_is_nobodys_head_any_more_wakes_nobody(node: Node) -> None:
    name = await node.hear_of_an_edit()
    node.served.failure = FAILURE
    await node.engine._pass()
    state = node.history.state()
    due = replace(state.rejected[name], retry=time.time() - 60)
    node.history.set_state(replace(state, rejected={name: due}))
    node.engine.see({PEER: node.engine.head})
    assert await node.engine._pass() is None


async def test_a_pass_that_fails_is_told_until_one_works(node: Node) -> None:
    objects = node.history.directory / "objects"
    shutil.rmtree(objects)
    assert await node.engine._pass() == RETRY.first
    (hold,) = node.engine.report(0.0).holds
    assert hold.reason == "failed"
    assert hold.message.startswith("cannot keep history")
    assert hold.hint
    objects.mkdir()
    assert await node.engine._pass() is None
    assert node.engine.report(0.0).holds == ()
    assert node.engine.head is not None
