"""What merges have overridden, on a node that made them and on one that took them over."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.commands.conflicts import conflicts_of
from sidecar.core.history.manifest import encode, identify
from sidecar.core.history.merge import merge
from sidecar.core.sync_report import PATHS_SHOWN
from sidecar.errors import RefusedError
from sidecar.sync.past import Past
from tests.unit.sync.node import PEER, Node


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """A node that has merged its own edit with an earlier one of its peer."""
    node = Node(tmp_path)
    await node.hear_of_an_edit()
    node.site.write_text("mine")
    await node.make_passes()
    assert node.site.read_text() == "mine"
    return node


def listed(node: Node) -> list[str]:
    """What the command lists, which is what the report has."""
    found = conflicts_of(node.history, 50)
    assert node.report().overridden == tuple(one.path for one in found)[:PATHS_SHOWN]
    return [one.other.snapshot for one in found]


def test_what_was_overridden_is_listed_with_the_version_that_has_it(node: Node) -> None:
    (one,) = conflicts_of(node.history, 50)
    assert (one.path, one.merge) == (str(node.site), node.head)
    assert (one.other.node, one.live.node) == (PEER, "192.0.2.11")
    assert node.history.get(one.other.snapshot) == node.transfer.offer
    assert node.report().overridden == (str(node.site),)
    assert node.report().conflicts == 1


async def test_it_leaves_the_list_when_it_is_restored(node: Node) -> None:
    (other,) = listed(node)
    await node.desk.restore(other, "site.conf")
    await node.make_pass()
    assert node.site.read_text() == "new"
    assert listed(node) == []


async def test_it_leaves_the_list_when_it_is_edited_again(node: Node) -> None:
    node.site.write_text("both")
    await node.make_pass()
    assert listed(node) == []
    assert node.report().conflicts == 1


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_person_takes_it_off_the_list_once(
    node: Node, tmp_path: Path, absolute: bool
) -> None:
    path = str(node.site) if absolute else "site.conf"
    assert await node.desk.clear(path) == "cleared site.conf: the live version stays"
    assert listed(node) == []
    with pytest.raises(RefusedError, match="not among the conflicts"):
        await node.desk.clear(path)
    node.site.with_name("other.conf").write_text("another head")
    await node.make_pass()
    assert listed(node) == []
    again = Node(tmp_path)
    await again.make_pass()
    assert listed(again) == []


async def test_the_list_outlives_a_restart_and_is_not_counted_again(
    node: Node, tmp_path: Path
) -> None:
    again = Node(tmp_path)
    assert again.report().overridden == ()
    await again.make_pass()
    assert listed(again) == listed(node)
    assert again.report().conflicts == 0


@pytest.mark.parametrize("many", [1, PATHS_SHOWN + 1])
async def test_a_node_that_takes_a_merge_over_lists_and_counts_the_same(
    tmp_path: Path, many: int
) -> None:
    node = Node(tmp_path)
    await node.make_pass()
    first = node.head
    assert first is not None
    old = node.history.get(first)
    for time, content in ((1.0, b"one"), (2.0, b"two")):
        digest = node.history.put(content)
        entry = replace(old.tree[str(node.site)], digest=digest, size=3)
        tree = {f"{node.site}{number or ''}": entry for number in range(many)}
        node.history.add(replace(old, tree=tree, parents=(first,), time=time))
    sides = node.history.ids() - {first}
    node.transfer.offer = merge(sides, node.history.graph(), Past(node.history))
    node.passes.see({PEER: identify(encode(node.transfer.offer))})
    await node.make_passes()
    assert node.site.read_text() == "two"
    assert len(listed(node)) == many
    assert node.report().conflicts == node.report().overridden_count == many


async def test_of_a_merge_whose_sides_are_gone_nothing_is_listed_until_they_are_back(
    node: Node, tmp_path: Path
) -> None:
    (other,) = listed(node)
    manifest = node.history.directory / "snapshots" / other
    shutil.move(manifest, tmp_path / "away")
    again = Node(tmp_path)
    await again.make_pass()
    assert listed(again) == []
    shutil.move(tmp_path / "away", manifest)
    again.engine._conflicts.look_again()
    await again.make_pass()
    assert listed(again) == [other]


def test_without_a_head_there_are_none(tmp_path: Path) -> None:
    assert conflicts_of(Node(tmp_path).history, 50) == ()
