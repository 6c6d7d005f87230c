"""The status page and the timeline of a real pair."""

import re
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.tab import Tab
from tests.cluster.wait import until
from tests.cluster.world import World


def roles(node: Node) -> list[dict[str, Any]]:
    """Return the changes of roles that a node knows of, newest first."""
    events: list[dict[str, Any]] = node.status()["events"]
    return [event for event in events if event["kind"] == "role"]


def test_the_page_shows_a_failover_without_a_reload_and_all_nodes_remember_it(
    world: World, pair: Cluster
) -> None:
    master, backup = pair.master, pair.backup
    titles = [f"{node.address} holds the VIP" for node in (master, backup)]
    page = f"http://{backup.address}:9165/"
    with Tab(world.client.container, page, *titles) as tab:
        master.kill()
        said = tab.read()
    assert f"{backup.address} took over from {master.address}: no more VRRP adverts from it" in said
    gap = re.search(r"(\d\.\d\d) s without a MASTER", said)
    assert gap
    assert 0.05 < float(gap[1]) < 3.0

    master.start()
    pair.wait_well(within=30)
    taken = next(event for event in roles(backup) if event["previous"])
    assert (taken["node"], taken["previous"]) == (backup.address, master.address)
    assert taken["gap"] == pytest.approx(float(gap[1]), abs=0.01)
    until("the node that was away knows it too", lambda: taken in roles(master), within=5)
    backup.replace()
    pair.wait_well(within=30)
    until("it is not forgotten", lambda: taken in roles(backup), within=5)


def test_a_node_that_is_stopped_tells_the_others_before_it_goes(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    known = roles(backup)
    master.stop()

    def news(field: str) -> list[Any]:
        return [event for event in roles(backup) if event not in known and event[field]]

    said = until(
        "the other one knows why it is MASTER",
        lambda: [event for event in news("subject") if event["subject"] == "INIT"],
    )
    assert (said[0]["node"], said[0]["text"]) == (master.address, "keepalived was stopped")
    (taken,) = until("and that it took over", lambda: news("previous"))
    assert taken["text"] == f"{master.address} handed the VIP over"
    assert taken["gap"] < 1.0
    assert "keepalived was stopped" in backup.ha("status").stdout


def test_a_backup_shows_as_much_of_the_pair_as_the_master(pair: Cluster) -> None:
    def inside(node: Node) -> tuple[set[str], set[str]]:
        report = node.status()
        (details,) = [peer["details"] for peer in report["peers"]]
        own, its = report["processes"], details["processes"]
        return {process["name"] for process in own}, {process["name"] for process in its}

    for node in pair.nodes:
        own, its = until("the peer has told", lambda node=node: inside(node))  # type: ignore[misc]
        assert own == its
        assert "keepalived" in own


def test_a_snapshot_is_in_the_timeline_of_every_node(synced: Cluster) -> None:
    synced.a.put("conf.d/timeline.conf", "# a change\n")
    for node in synced.nodes:
        until(
            f"{node} tells of the change",
            lambda node=node: [  # type: ignore[misc]
                event
                for event in node.status()["events"]
                if event["kind"] == "snapshot" and "timeline.conf" in event["text"]
            ],
            within=15,
        )
