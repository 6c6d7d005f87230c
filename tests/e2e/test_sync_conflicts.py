"""A file that was edited on two nodes at the same time: one version is live, the other is kept."""

import json
from pathlib import Path
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

TWICE: Final = "conf.d/twice.conf"
OTHER: Final = "conf.d/other.conf"
THIRD: Final = "conf.d/third.conf"


def host(path: str) -> str:
    """Return the name of the site in a file."""
    return f"{Path(path).stem}.test"


def collide(cluster: Cluster, *paths: str) -> None:
    """Edit files on both nodes while they cannot talk, and wait until that is merged."""
    with sites.parted(cluster):
        for node, word in zip(cluster.nodes, ("early", "late"), strict=True):
            before = node.sync()["head"]
            for path in paths:
                node.folder.write(path, sites.site(host(path), word))
                sites.wait_served(host(path), word, node)
            sites.wait_accepted(node, before)
    for path in paths:
        sites.wait_served(host(path), "late", *cluster.nodes)
    cluster.wait_in_sync()


def conflicts(node: Node) -> list[dict[str, Any]]:
    """Return what a node lists, which is as much as its status says."""
    found: list[dict[str, Any]] = json.loads(node.ha("conflicts", "--json").stdout)
    until(
        f"the status of {node} says the same",
        lambda: node.sync()["overridden"],
        lambda paths: paths == [one["path"] for one in found],
    )
    return found


def test_both_versions_are_listed_on_every_node_until_one_is_chosen(synced: Cluster) -> None:
    collide(synced, TWICE, OTHER)
    for node in synced.nodes:
        sites.wait_reason(node, "sync-conflict", "other.conf and 1 more", "ha conflicts")
        assert [one["path"] for one in conflicts(node)] == [
            f"/etc/nginx/{path}" for path in (OTHER, TWICE)
        ]
    assert conflicts(synced.a) == conflicts(synced.b)
    other, own = conflicts(synced.a)
    nodes = own["other"]["node"], own["live"]["node"]
    assert nodes == (synced.a.address, synced.b.address)
    snapshots = own["other"]["snapshot"][:12], own["live"]["snapshot"][:12]
    text = synced.b.ha("conflicts").stdout
    assert all(word in text for word in (TWICE, *snapshots, *nodes, "ha restore OTHER PATH"))
    assert "early" in synced.b.ha("diff", *snapshots).stdout
    # They outlive a restart.
    synced.b.replace()
    synced.b.wait_ready(within=30)
    until("the list is there again", lambda: synced.b.sync()["overridden"])
    assert conflicts(synced.b) == [other, own]
    synced.wait_linked()
    # One is brought back, on every node; of the other the live version stays.
    synced.b.ha("restore", snapshots[0], TWICE)
    sites.wait_served(host(TWICE), "early", *synced.nodes)
    synced.wait_in_sync()
    for node in synced.nodes:
        assert conflicts(node) == [other]
        assert node.ha("conflicts", "--clear", OTHER).stdout.startswith(f"cleared {OTHER}")
        assert node.ha("conflicts").stdout == "No conflicts.\n"
        assert node.ha("conflicts", "--clear", OTHER, check=False).returncode == 1
        until(f"{node} has no problems", node.problems, lambda found: not found)


def test_an_edit_ends_a_conflict_and_it_was_counted_on_every_node(synced: Cluster) -> None:
    before = [counted(node) for node in synced.nodes]
    collide(synced, THIRD)
    synced.a.folder.write(THIRD, sites.site(host(THIRD), "both"))
    sites.wait_served(host(THIRD), "both", *synced.nodes)
    synced.wait_in_sync()
    for node, was in zip(synced.nodes, before, strict=True):
        assert conflicts(node) == []
        assert counted(node) == was + 1


def counted(node: Node) -> float:
    """Return how many conflicts a node has counted."""
    (line,) = (
        line
        for line in node.get("/metrics").splitlines()
        if line.startswith("ha_sync_conflicts_total")
    )
    return float(line.split()[1])
