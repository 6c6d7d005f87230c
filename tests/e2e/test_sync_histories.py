"""Histories that part, and meet again."""

import re
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.wait import until
from tests.e2e import sites

OWN: Final = "conf.d/own.conf"


def named(cluster: Cluster) -> set[str]:
    """Return the snapshots from which the logs say that the file can be had."""
    log = "".join(node.logs() for node in cluster.nodes)
    return set(re.findall(rf"ha restore ([0-9a-f]{{12}}) \S+/{OWN}", log))


def test_what_was_edited_on_both_sides_of_a_cut_is_merged(synced: Cluster) -> None:
    with sites.parted(synced):
        for node, host in zip(synced.nodes, ("one.test", "two.test"), strict=True):
            node.folder.write(f"conf.d/{host}.conf", sites.site(host, host))
            sites.wait_served(host, host, node)
            node.folder.write(OWN, sites.site("own.test", host))
            sites.wait_served("own.test", host, node)
    sites.wait_served("one.test", "one.test", *synced.nodes)
    sites.wait_served("two.test", "two.test", *synced.nodes)
    synced.wait_in_sync()
    # Both edited the same file: the later edit is served, and the log says how to get the other.
    sites.wait_served("own.test", "two.test", *synced.nodes)
    lost = until(
        "the log names the other version", lambda: named(synced), lambda ids: len(ids) == 1
    )
    synced.b.ha("restore", lost.pop(), OWN)
    sites.wait_served("own.test", "one.test", *synced.nodes)
    synced.wait_in_sync()


def test_a_merge_that_nginx_refuses_is_held_until_both_fit_together(synced: Cluster) -> None:
    upstream = "upstream twice {{ server 127.0.0.1:1; }}\n{}"
    with sites.parted(synced):
        for node, host in zip(synced.nodes, ("one.test", "two.test"), strict=True):
            node.folder.write(f"conf.d/{host}.conf", upstream.format(sites.site(host, "twice")))
            sites.wait_served(host, "twice", node)
    for node, peer in ((synced.a, synced.b), (synced.b, synced.a)):
        sites.wait_reason(node, "merge-refused", peer.address, "duplicate upstream", "ha diff")
    for node, host in zip(synced.nodes, ("one.test", "two.test"), strict=True):
        sites.always_serves(node, host, "twice")
    synced.a.folder.write("conf.d/one.test.conf", sites.site("one.test", "once"))
    sites.wait_served("one.test", "once", *synced.nodes)
    sites.wait_served("two.test", "twice", *synced.nodes)
    synced.wait_in_sync()


def test_edits_on_both_nodes_at_the_same_moment_end_alike(synced: Cluster) -> None:
    for number in range(3):
        for node, host in zip(synced.nodes, ("one.test", "two.test"), strict=True):
            node.folder.write(f"conf.d/{host}.conf", sites.site(host, f"{number}"))
        for host in ("one.test", "two.test"):
            sites.wait_served(host, f"{number}", *synced.nodes)
        synced.wait_in_sync()


def test_a_node_that_lost_its_state_takes_what_replaced_its_files(synced: Cluster) -> None:
    synced.a.folder.write(OWN, sites.site("own.test", "old"))
    sites.wait_served("own.test", "old", *synced.nodes)
    synced.wait_in_sync()
    synced.b.lose_state()
    synced.a.folder.write(OWN, sites.site("own.test", "new"))
    synced.b.folder.write("only-here.txt", "nobody else knows this")
    sites.wait_served("own.test", "new", synced.a)
    synced.b.up()
    sites.wait_served("own.test", "new", *synced.nodes)
    sites.wait_reason(synced.b, "state-lost", "kept as snapshot", "ha restore")
    (hold,) = synced.b.sync()["holds"]
    synced.b.ha("restore", hold["message"].split()[-1], "only-here.txt")
    synced.b.ha("rollback", "head")
    assert "only-here.txt" in synced.wait_in_sync()


def test_nodes_that_were_edited_alike_while_cut_join(synced: Cluster) -> None:
    with sites.parted(synced):
        for node in synced.nodes:
            node.folder.write(OWN, sites.site("own.test", "alike"))
            sites.wait_served("own.test", "alike", node)
    synced.wait_in_sync(within=20)
    head = synced.a.sync()["head"]
    (shown,) = (line for line in synced.a.ha("history").stdout.splitlines() if head[:12] in line)
    assert "joined" in shown
