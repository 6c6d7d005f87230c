"""What looks like an accident waits for a word of a person, given once for all nodes."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan
from tests.cluster.wait import always
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
    before = pair.b.inside.tree()
    pair.a.folder.remove(MANY)
    sites.wait_reason(pair.a, "mass-delete", "30 of", "ha sync release")
    always("the peer has all", pair.b.inside.tree, lambda tree: tree == before, during=2)
    assert pair.a.ha("sync", "release").stdout.startswith("released (mass-delete)")
    assert MANY not in pair.wait_in_sync()
    assert pair.a.ha("sync", "release", check=False).returncode == 1


def test_what_is_held_can_be_brought_back(full: tuple[Cluster, str]) -> None:
    pair, _ = full
    before = pair.b.inside.tree()
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
    before = pair.a.inside.tree()
    pair.b.stop()
    pair.b.folder.sh("find . -mindepth 1 -delete")
    pair.b.start()
    sites.wait_reason(pair.b, "emptied", "ha rollback head", within=30)
    always("the peer has all", pair.a.inside.tree, lambda tree: tree == before, during=2)
    pair.b.ha("rollback", "head")
    assert pair.wait_in_sync(within=30) == before


def test_what_a_node_leaves_out_from_now_on_is_deleted_nowhere(start: Start) -> None:
    own = "local/own.txt"
    pair = start(Plan(environment={"HA_SYNC_SOAK": "0s"}, files={own: "of each host"}))
    pair.wait_well(within=30)
    pair.wait_in_sync()
    for node in pair.nodes:
        with (node.directory / ".env").open("a") as settings:
            settings.write("HA_SYNC_EXCLUDE=/local/\n")
        node.up()
        sites.wait_reason(node, "excluded", "local", "ha sync release", within=30)
    sites.wait_linked(pair)
    pair.a.ha("sync", "release")
    assert own in pair.wait_in_sync(within=30)
