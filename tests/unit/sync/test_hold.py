"""Sync that a person has stopped on a node."""

from pathlib import Path

import pytest

from sidecar.errors import RefusedError
from tests.unit.sync.node import Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_nothing_is_taken_over_until_it_is_released(node: Node) -> None:
    name = await node.hear_of_an_edit()
    assert "`ha sync release` ends that" in await node.desk.hold()
    assert await node.make_passes() is None
    assert node.site.read_text() == "old"
    (hold,) = node.report().holds
    assert hold.reason == "held-by-hand"
    assert "held (held-by-hand)" in await node.desk.sync(dry_run=True)
    assert (await node.desk.release()).startswith("released (held-by-hand)")
    await node.make_passes()
    assert node.head == name
    assert node.report().holds == ()
    with pytest.raises(RefusedError, match="nothing is held"):
        await node.desk.release()


async def test_what_is_edited_meanwhile_is_accepted_and_offered_to_nobody(
    node: Node, tmp_path: Path
) -> None:
    await node.make_pass()
    before = node.head
    await node.desk.hold()
    node.site.write_text("mine")
    await node.make_pass()
    edited = node.head
    assert edited != before
    assert node.engine.offered == before
    await node.desk.hold()  # again: what is offered stays
    assert node.engine.offered == before
    again = Node(tmp_path)
    await again.make_pass()
    assert (again.head, again.engine.offered) == (edited, before)
    assert before in again.engine.kept()
    await again.desk.rollback(str(before))
    assert again.site.read_text() == "old"
    assert again.engine.offered == before
    await again.desk.release()
    assert again.engine.offered == again.head


async def test_a_release_first_ends_what_a_person_holds_and_then_what_a_guard_holds(
    node: Node,
) -> None:
    await node.make_pass()
    await node.desk.hold()
    node.site.unlink()
    await node.make_pass()
    reasons = [hold.reason for hold in node.report().holds]
    assert reasons == ["emptied", "held-by-hand"]
    assert "(held-by-hand)" in await node.desk.release()
    assert "(emptied)" in await node.desk.release()
