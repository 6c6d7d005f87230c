"""What a disk does to our own files: the node serves, and mends what can be mended."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

HISTORY: Final = "/var/lib/ha/history"

DAMAGES: Final = {
    "the head is not text": f"printf '\\377\\376\\200' >{HISTORY}/head",
    "the head is a pipe": f"rm {HISTORY}/head; mkfifo {HISTORY}/head",
    "nothing is what it should be": f"""
        cd {HISTORY}
        for name in head version state.json ../schedule.json ../journal; do
            rm -rf "$name"; mkdir "$name"; printf '\\377' >"$name/x"
        done
        printf '[[[[' >../journal/journal
        for name in snapshots/*; do printf '\\377\\376' >"$name"; done
    """,
    "the manifest of the head is not readable": f"""
        printf '\\377' | dd of={HISTORY}/snapshots/$(cat {HISTORY}/head) conv=notrunc status=none
    """,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_keeps_no_node_from_serving_and_is_mended(
    synced: Cluster, damage: str
) -> None:
    node = synced.b
    synced.a.folder.write("conf.d/damage.conf", sites.site("damage.test", damage))
    sites.wait_served("damage.test", damage, node)
    tree = synced.wait_in_sync()
    node.inside.sh(DAMAGES[damage])
    node.kill()
    node.start()
    node.wait_ready(within=30)
    assert node.fetch("damage.test") == damage
    until("all is well", lambda: _holds(node), lambda holds: not holds, within=60)
    assert synced.wait_in_sync(within=60) == tree
    for maker, taker in ((synced.a, node), (node, synced.a)):
        said = f"{damage} on {maker.host.name}"
        maker.folder.write("conf.d/damage.conf", sites.site("damage.test", said))
        sites.wait_served("damage.test", said, taker)
    synced.wait_in_sync()


def _holds(node: Node) -> list[str]:
    sync = node.sync()
    return [hold["reason"] for hold in sync["holds"]] + ([] if sync["head"] else ["no head"])


FLIP: Final = f"""
    file={HISTORY}/objects/$1
    printf '\\377' | dd of="$file" conv=notrunc status=none
"""


def test_a_flipped_bit_in_the_history_is_found_named_and_taken_from_the_peer(
    synced: Cluster,
) -> None:
    node = synced.b
    synced.a.folder.write("conf.d/old.conf", "# an older version\n")
    old = synced.wait_in_sync()["conf.d/old.conf"].content
    synced.a.folder.remove("conf.d/old.conf")
    synced.wait_in_sync()
    node.inside.sh(FLIP, old)
    said = node.ha("history", "--verify").stdout
    assert "conf.d/old.conf of snapshot" in said
    assert "was damaged, and is restored" in said
    assert "nothing is damaged" in node.ha("history", "--verify").stdout
    assert node.inside.sh(f"sha256sum {HISTORY}/objects/{old}").startswith(old)


def test_sync_that_is_off_says_why_and_goes_on_by_itself(synced: Cluster) -> None:
    node = synced.b
    node.inside.sh(f"echo 2 >{HISTORY}/version")
    node.kill()
    node.start()
    node.wait_ready(within=30)
    sites.wait_reason(node, "off", "its version is not 1", "start the image that made it")
    assert node.fetch("base.test") == "base"
    node.inside.sh(f"echo 1 >{HISTORY}/version")
    until("sync is on again", node.sync, lambda sync: sync["head"], within=60)
    synced.wait_in_sync(within=30)
