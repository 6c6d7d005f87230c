"""A person chooses between configurations that cannot be merged."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core.history.manifest import encode, identify
from sidecar.core.history.snapshot import Snapshot
from sidecar.errors import RefusedError
from tests.unit.sync.node import PEER, Node
from tests.unit.trees import file

THIRD = "192.0.2.13"


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """A node that meets a peer for the first time, and both have a file of their own."""
    node = Node(tmp_path)
    await node.make_pass()
    await meet(node, PEER)
    (hold,) = node.report().holds
    assert hold.reason == "unrelated"
    return node


async def meet(node: Node, peer: str, mode: int = 0o644) -> None:
    """Hear of a peer's configuration, and bring it."""
    tree = {str(node.site): file("new", mode=mode)}
    node.transfer.offer = Snapshot(roots=node.workspace.roots, tree=tree, node=peer, time=9.0)
    name = identify(encode(node.transfer.offer))
    node.passes.see({**node.pulls.peers.heads, peer: name})
    await node.make_passes()


async def test_mine_follows_both_heads_and_changes_nothing_here(node: Node) -> None:
    before, tried = node.head, node.served.tried
    said = await node.desk.adopt("mine")
    assert said == "chose the configuration of 192.0.2.11: the other nodes take it over"
    await node.make_pass()
    theirs = node.pulls.peers.heads[PEER]
    assert node.head is not None
    assert set(node.history.get(node.head).parents) == {before, theirs}
    assert (node.site.read_text(), node.served.tried) == ("old", tried)
    assert node.report().holds == ()


@pytest.mark.parametrize("whose", ["peer", PEER])
async def test_a_peers_is_served_here_and_follows_both_heads(node: Node, whose: str) -> None:
    before = node.head
    said = await node.desk.adopt(whose)
    assert said == f"chose the configuration of {PEER}: edited site.conf"
    await node.make_pass()
    assert node.head is not None
    assert before in node.history.get(node.head).parents
    assert node.site.read_text() == "new"
    assert node.report().holds == ()


async def test_with_several_that_differ_one_has_to_be_named(node: Node) -> None:
    await meet(node, THIRD, mode=0o600)
    assert len(node.report().holds) == 2
    with pytest.raises(RefusedError, match="several nodes") as error:
        await node.desk.adopt("peer")
    assert f"`ha sync adopt {THIRD}`" in error.value.hint
    with pytest.raises(RefusedError, match="no node of that name"):
        await node.desk.adopt("192.0.2.14")
    await node.desk.adopt(THIRD)
    await node.make_pass()
    assert [PEER in hold.message for hold in node.report().holds] == [True]
    await node.desk.adopt("192.0.2.11")
    await node.make_pass()
    assert node.report().holds == ()


async def test_mine_is_what_is_accepted(node: Node) -> None:
    node.served.complaint = "[emerg] no"
    node.site.write_text("draft")
    await node.make_pass()
    with pytest.raises(RefusedError, match="not accepted yet"):
        await node.desk.adopt("mine")
    assert node.site.read_text() == "draft"


async def test_what_a_peer_has_and_nginx_refuses_is_not_adopted(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_tree: object) -> str:
        return "[emerg] no"

    before = node.head
    monkeypatch.setattr(node.served, "try_peers", refuse)
    with pytest.raises(RefusedError, match=r"\[emerg\] no"):
        await node.desk.adopt("peer")
    assert (node.head, node.site.read_text()) == (before, "old")


async def test_where_nothing_waits_for_a_choice_there_is_none(node: Node) -> None:
    await node.desk.hold()
    with pytest.raises(RefusedError, match="no other node has a configuration"):
        await node.desk.adopt("peer")
    await node.desk.release()
    head = node.head
    assert head is not None
    node.transfer.offer = replace(node.history.get(head), parents=(head,))
    node.passes.see({PEER: identify(encode(node.transfer.offer))})
    await node.make_passes()
    with pytest.raises(RefusedError, match="no other node has a configuration"):
        await node.desk.adopt("mine")
