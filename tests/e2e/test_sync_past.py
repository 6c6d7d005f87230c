"""The past on every node: also what was made while a node was away."""

import hashlib
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.e2e import sites

OWN: Final = "conf.d/past.conf"


def accept(node: Node, answer: str) -> str:
    """Let the site say something, on one node; return the snapshot of that."""
    before = node.sync()["head"]
    node.folder.write(OWN, sites.site("past.test", answer))
    return sites.wait_accepted(node, before)[:12]


def wait_whole(node: Node) -> None:
    """Wait until nothing is missing of the past."""
    until(
        f"{node} has the whole past",
        lambda: node.ha("history").stdout,
        lambda text: "incomplete here" not in text,
        within=60,
    )


def forget(node: Node, answer: str) -> None:
    """Lose the content of the site that said this."""
    digest = hashlib.sha256(sites.site("past.test", answer).encode()).hexdigest()
    run(node.name, "rm", f"/var/lib/ha/history/objects/{digest}")


def test_what_was_made_while_a_node_was_away_can_be_had_there_after_its_maker_died(
    synced: Cluster,
) -> None:
    synced.b.kill()
    one = accept(synced.a, "one")
    accept(synced.a, "two")
    synced.b.start()
    synced.wait_in_sync(within=30)
    wait_whole(synced.b)
    synced.a.kill()
    synced.b.ha("rollback", one)
    sites.wait_served("past.test", "one", synced.b)
    synced.a.start()
    synced.wait_in_sync(within=30)
    sites.wait_served("past.test", "one", synced.a)


def test_what_is_not_whole_is_marked_and_fetched_or_refused(synced: Cluster) -> None:
    one = accept(synced.a, "lost")
    accept(synced.a, "kept")
    synced.wait_in_sync()
    wait_whole(synced.b)
    synced.a.kill()
    until(
        "the link is down",
        lambda: [peer["linked"] for peer in synced.b.status()["peers"]],
        lambda links: not any(links),
    )
    forget(synced.b, "lost")
    marked = [line for line in synced.b.ha("history").stdout.splitlines() if "incomplete" in line]
    assert [line.split()[0] for line in marked] == [one]
    for order in (
        ("rollback", one),
        ("restore", one, OWN),
        ("diff", one),
        ("export", one, "/tmp/past"),
    ):
        refused = synced.b.ha(*order, check=False)
        assert refused.returncode == 1, refused
        assert "not all on this node" in refused.stderr, refused
    synced.a.start()
    synced.wait_well(within=30)
    assert "lost" in synced.b.ha("diff", one).stdout
    wait_whole(synced.b)
    synced.b.ha("rollback", one)
    sites.wait_served("past.test", "lost", *synced.nodes)
