"""What a disk has damaged is found before it is needed, named, and made whole again."""

from pathlib import Path

import pytest

from sidecar.core.history.manifest import without_tree
from sidecar.core.history.snapshot import Snapshot
from sidecar.errors import RefusedError
from tests.unit.sync.node import PEER, Node


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """A node with two snapshots, linked to a peer that has the first one's file."""
    node = Node(tmp_path)
    await node.make_pass()
    node.transfer.has = b"old"
    node.site.write_text("second")
    await node.make_pass()
    node.passes.see({PEER: node.head})
    return node


def snapshot(node: Node, place: int) -> tuple[str, Snapshot]:
    head = node.history.head()
    assert head is not None
    (first,) = node.history.get(head).parents
    name = (first, head)[place]
    return name, node.history.get(name)


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def object_of(node: Node, place: int) -> Path:
    (entry,) = snapshot(node, place)[1].tree.values()
    return node.history.directory / "objects" / entry.digest


async def test_a_history_that_is_well_is_said_to_be(node: Node) -> None:
    said = await node.desk.verify(gently=True)
    assert said == "2 snapshots and 2 files were checked: nothing is damaged"


async def test_a_flipped_bit_in_a_file_of_head_is_mended_from_the_folders(node: Node) -> None:
    flip(object_of(node, 1))
    said = await node.desk.verify()
    name = snapshot(node, 1)[0]
    assert said.endswith(f"\nsite.conf of snapshot {name[:12]} was damaged, and is restored")
    assert node.transfer.asked == 0
    assert "nothing is damaged" in await node.desk.verify()


async def test_a_flipped_bit_in_an_older_file_is_mended_from_a_peer(node: Node) -> None:
    flip(object_of(node, 0))
    said = await node.desk.verify()
    name = snapshot(node, 0)[0]
    assert said.endswith(f"\nsite.conf of snapshot {name[:12]} was damaged, and is restored")
    assert object_of(node, 0).read_bytes() == b"old"


async def test_what_nobody_has_is_a_failure_that_names_it(node: Node) -> None:
    node.passes.see({})
    place, name = object_of(node, 0), snapshot(node, 0)[0]
    flip(place)
    with pytest.raises(RefusedError) as caught:
        await node.desk.verify()
    assert f"site.conf of snapshot {name[:12]} was damaged, and no linked" in caught.value.message
    assert caught.value.hint
    assert (node.history.directory / "damaged" / place.name).exists()
    with pytest.raises(RefusedError, match=f"snapshot {name[:12]} is incomplete here"):
        await node.desk.verify()


@pytest.mark.parametrize("at", [10, -2])
async def test_a_flipped_bit_in_a_manifest_is_mended_from_a_peer(node: Node, at: int) -> None:
    name, node.transfer.offer = snapshot(node, 0)
    flip(node.history.directory / "snapshots" / name, at)
    said = await node.desk.verify()
    assert said.endswith(f"\nsnapshot {name[:12]} was damaged, and is restored")
    assert node.history.get(name) == node.transfer.offer


async def test_a_manifest_of_which_only_the_header_was_kept_is_brought_again(node: Node) -> None:
    name, node.transfer.offer = snapshot(node, 0)
    node.engine._keep = 1
    path = node.history.directory / "snapshots" / name
    path.write_bytes(without_tree(path.read_bytes()))
    flip(path, 10)
    said = await node.desk.verify()
    assert said.endswith(f"\nsnapshot {name[:12]} was damaged, and is restored")


async def test_a_header_that_nobody_has_is_a_failure_that_names_it(node: Node) -> None:
    name, _ = snapshot(node, 0)
    path = node.history.directory / "snapshots" / name
    path.write_bytes(without_tree(path.read_bytes()))
    node.engine._keep = 1
    node.passes.see({})
    assert "nothing is damaged" in await node.desk.verify()
    flip(path, 10)
    with pytest.raises(RefusedError, match=f"snapshot {name[:12]} was damaged, and no linked"):
        await node.desk.verify()


async def test_a_damaged_file_that_nothing_needs_is_moved_away(node: Node) -> None:
    stray = node.history.directory / "objects" / node.history.put(b"stray")
    flip(stray)
    assert (await node.desk.verify()).endswith("\n1 damaged file that nothing needs: moved away")
    assert (node.history.directory / "damaged" / stray.name).exists()
