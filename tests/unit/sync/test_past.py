"""What is left out here, and what of the past is not here."""

from pathlib import Path

import pytest

from sidecar.errors import RefusedError
from tests.unit.sync.node import PEER, Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_a_copy_of_what_is_left_out_now_is_no_rename_that_deletes_it_elsewhere(
    tmp_path: Path,
) -> None:
    before = Node(tmp_path)
    backup = before.site.with_name("a.bak")
    backup.write_text("server {}")
    await before.make_pass()
    node = Node(tmp_path, exclude=("*.bak",))
    backup.with_name("a.conf").write_text("server {}")
    await node.make_pass()
    (hold,) = node.report().holds
    assert hold.reason == "excluded"
    assert str(backup) in hold.message
    assert node.tree() == {"a.bak", "site.conf"}


@pytest.mark.parametrize("released", [True, False])
async def test_a_rollback_never_touches_what_is_left_out_now(
    tmp_path: Path, released: bool
) -> None:
    before = Node(tmp_path)
    backup = before.site.with_name("a.bak")
    backup.write_text("kept")
    await before.make_pass()
    old = before.engine.head
    assert old is not None
    node = Node(tmp_path, exclude=("*.bak",))
    await node.make_pass()
    if released:
        await node.worker.do(node.engine.release)
        await node.make_pass()
    node.site.write_text("new")
    await node.make_pass()
    await node.desk.rollback(old)
    assert node.site.read_text() == "old"
    assert backup.read_text() == "kept"
    assert node.tree() == ({"site.conf"} if released else {"site.conf", "a.bak"})
    with pytest.raises(RefusedError, match="it is left out on this node"):
        await node.desk.restore(old, "a.bak")
    backup.write_text("edited")
    await node.desk.rollback("head")
    assert backup.read_text() == "edited"


def test_two_nodes_without_a_snapshot_are_not_in_sync(node: Node) -> None:
    stands = [(None, None, None), (None, "a", False), ("a", None, False), ("a", "a", True)]
    for mine, theirs, in_sync in stands:
        node.passes.see({PEER: theirs})
        (peer,) = node.pulls.peers.report(mine, {})
        assert peer.in_sync is in_sync
    node.passes.see({})
    (peer,) = node.pulls.peers.report(None, {})
    assert peer.in_sync is None


class TestPast:
    """What is missing of the snapshots that are kept."""

    @pytest.fixture
    async def lost(self, node: Node) -> str:
        """An earlier snapshot whose one file is not here, while a peer is linked."""
        await node.make_pass()
        first = node.engine.head
        assert first is not None
        node.site.write_text("later")
        await node.make_pass()
        node.passes.see({PEER: node.engine.head})
        (entry,) = node.history.get(first).tree.values()
        (node.history.directory / "objects" / entry.digest).unlink()
        return first

    async def test_it_is_brought_when_there_is_nothing_else_to_do(
        self, node: Node, lost: str
    ) -> None:
        node.transfer.has = b"old"
        await node.fill()
        assert node.history.complete(lost) is not None

    async def test_once_it_is_here_no_other_peer_is_asked(self, node: Node, lost: str) -> None:
        node.transfer.has = b"old"
        node.passes.see({PEER: node.engine.head, "192.0.2.13": node.engine.head})
        await node.fill()
        assert node.history.complete(lost) is not None
        assert node.transfer.asked == 1

    async def test_a_peer_that_has_it_not_is_not_asked_at_once_again(
        self, node: Node, lost: str
    ) -> None:
        for _ in range(2):
            await node.fill()
        assert node.transfer.asked == 1
        assert node.history.complete(lost) is None

    async def test_a_command_brings_it_first_or_is_refused(self, node: Node, lost: str) -> None:
        with pytest.raises(RefusedError, match="no linked node has them"):
            await node.desk.rollback(lost)
        assert node.site.read_text() == "later"
        node.transfer.has = b"old"
        await node.desk.rollback(lost)
        assert node.site.read_text() == "old"
