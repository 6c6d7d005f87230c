"""What looks like an accident waits for a word of a person, given once for all nodes."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan
from tests.cluster.wait import always, until
from tests.e2e import sites
from tests.e2e.fixtures import Have, Start

MANY: Final = "many"
_MAKE: Final = 'mkdir -p "$1"; for number in $(seq 30); do echo "$number" >"$1/$number.txt"; done'


@pytest.fixture
def pair(have: Have) -> Cluster:
    """A pair with few files: what is much depends on that."""
    plan = Plan(environment={"HA_SYNC_SOAK": "0s"}, files={"conf.d/base.conf": "# base\n"})
    cluster = have(plan)
    cluster.wait_in_sync()
    return cluster


@pytest.fixture
def full(pair: Cluster) -> tuple[Cluster, str]:
    """That pair with many files, and the snapshot before they came."""
    if MANY in pair.a.folder.tree():
        pair.a.folder.remove(MANY)
        sites.wait_reason(pair.a, "mass-delete")
        pair.a.ha("sync", "release")
        pair.wait_in_sync()
    before = pair.a.sync()["head"]
    pair.a.folder.sh(_MAKE, MANY)
    sites.wait_accepted(pair.a, before)
    pair.wait_in_sync()
    return pair, before


def test_many_deletes_are_held_where_they_were_made_until_they_are_released(
    full: tuple[Cluster, str],
) -> None:
    pair, _ = full
    before = pair.b.tree()
    pair.a.folder.remove(MANY)
    sites.wait_reason(pair.a, "mass-delete", "30 of", "ha sync release")
    always("the peer has all", pair.b.tree, lambda tree: tree == before, during=2)
    assert pair.a.ha("sync", "release").stdout.startswith("released (mass-delete)")
    assert MANY not in pair.wait_in_sync()
    assert pair.a.ha("sync", "release", check=False).returncode == 1


def test_what_is_held_can_be_brought_back(full: tuple[Cluster, str]) -> None:
    pair, _ = full
    before = pair.b.tree()
    pair.a.folder.remove(MANY)
    sites.wait_reason(pair.a, "mass-delete")
    pair.a.ha("rollback", "head")
    assert pair.wait_in_sync() == before


def test_a_rollback_that_deletes_much_is_a_word_that_counts_everywhere(
    full: tuple[Cluster, str],
) -> None:
    pair, before = full
    pair.b.ha("rollback", before)
    assert MANY not in pair.wait_in_sync()
    assert not pair.a.sync()["holds"]


def test_a_node_that_starts_without_its_folder_holds_and_spreads_no_stock(pair: Cluster) -> None:
    before = pair.a.tree()
    pair.b.stop()
    pair.b.folder.sh("find . -mindepth 1 -delete")
    pair.b.start()
    sites.wait_reason(pair.b, "emptied", "ha rollback head", within=30)
    always("the peer has all", pair.a.tree, lambda tree: tree == before, during=2)
    pair.b.ha("rollback", "head")
    assert pair.wait_in_sync(within=30) == before


def test_a_backup_that_was_restored_while_a_node_was_down_replaces_nothing_newer(
    pair: Cluster,
) -> None:
    old = {f"backup/{number}.txt": "old\n" for number in range(3)}
    for path, text in old.items():
        pair.b.folder.write(path, text)
    pair.wait_in_sync()
    for path in old:
        pair.a.folder.write(path, "new\n")
    newer = pair.wait_in_sync()
    pair.b.stop()
    for path, text in old.items():
        pair.b.folder.write(path, text)
    pair.b.start()
    sites.wait_reason(pair.b, "restored", "kept as snapshot", "ha sync release", within=30)
    pair.wait_linked()
    until("the newer are back", pair.b.tree, lambda tree: tree == newer)
    assert pair.b.sync()["head"] == pair.a.sync()["head"]
    pair.b.ha("sync", "release")
    assert pair.wait_in_sync() != newer
    assert pair.a.folder.read("backup/0.txt") == "old\n"


def test_what_a_node_leaves_out_from_now_on_is_deleted_nowhere(start: Start) -> None:
    own = "local/own.txt"
    pair = start(Plan(environment={"HA_SYNC_SOAK": "0s"}, files={own: "of each host"}))
    pair.wait_well(within=30)
    pair.wait_in_sync()
    for node in pair.nodes:
        node.configure("HA_SYNC_EXCLUDE", "/local/")
        sites.wait_reason(node, "excluded", "local", "ha sync release", within=30)
    pair.wait_linked()
    pair.a.ha("sync", "release")
    assert own in pair.wait_in_sync(within=30)


def test_what_a_person_holds_is_neither_taken_over_nor_offered_until_it_is_released(
    synced: Cluster,
) -> None:
    held, other = synced.b, synced.a
    assert "ha sync release" in held.ha("sync", "hold").stdout
    sites.wait_reason(held, "held-by-hand", "ha sync release")
    before = other.sync()["head"]
    for node, host in ((held, "held.test"), (other, "other.test")):
        node.folder.write(f"conf.d/{host}.conf", sites.site(host, host))
        sites.wait_served(host, host, node)
    own = sites.wait_accepted(held, before)
    accepted = sites.wait_accepted(other, before)
    held.replace()
    held.wait_ready(within=30)
    synced.wait_linked()
    sites.wait_reason(held, "held-by-hand")
    metric = 'ha_sync_held{reason="held-by-hand"} 1.0'
    assert metric in held.get("/metrics")
    always(
        "each has its own",
        lambda: (held.sync()["head"], other.sync()["head"]),
        lambda heads: heads == (own, accepted),
        during=3,
    )
    # Commands work, on this node only.
    held.ha("rollback", before)
    sites.wait_unknown("held.test", held)
    held.ha("restore", own, "conf.d/held.test.conf")
    sites.wait_served("held.test", "held.test", held)
    sites.wait_unknown("held.test", other)
    assert "held-by-hand" in held.ha("sync", "release").stdout
    for host in ("held.test", "other.test"):
        sites.wait_served(host, host, *synced.nodes)
    synced.wait_in_sync()
