"""Histories that part and meet, and more than two nodes."""

from dataclasses import replace
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import always, until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Have

OWN: Final = "conf.d/own.conf"


def edit_apart(cluster: Cluster, answers: tuple[str, str]) -> list[str]:
    """Let both nodes accept an edit of their own while they are cut; return the snapshots."""
    head = cluster.a.sync()["head"]
    cluster.b.host.drop(*sites.CUT)
    sites.wait_linked(cluster, linked=False)
    for node, answer in zip(cluster.nodes, answers, strict=True):
        node.folder.write(OWN, sites.site("own.test", answer))
        sites.wait_served("own.test", answer, node)
    heads = [sites.wait_accepted(node, head) for node in cluster.nodes]
    cluster.b.host.heal()
    sites.wait_linked(cluster)
    return heads


def test_nodes_that_were_both_edited_while_cut_keep_both_versions_and_serve_their_own(
    synced: Cluster,
) -> None:
    answers = ("from a", "from b")
    heads = edit_apart(synced, answers)
    for node, peer in ((synced.a, synced.b), (synced.b, synced.a)):
        sites.wait_reason(node, "diverged", peer.address, "rollback")
    always(
        "each serves its own",
        lambda: tuple(node.fetch("own.test") for node in synced.nodes),
        lambda seen: seen == answers,
        during=3,
    )
    for node in synced.nodes:
        shown = node.ha("history").stdout
        assert all(head[:12] in shown for head in heads)
        difference = node.ha("diff", *(head[:12] for head in heads)).stdout
        assert all(answer in difference for answer in answers)
    # The way out that was shown.
    synced.a.ha("rollback", heads[1][:12])
    sites.wait_served("own.test", answers[1], *synced.nodes)
    synced.wait_in_sync()
    # Nothing is lost: the other version can still be had.
    synced.b.ha("restore", heads[0][:12], OWN)
    sites.wait_served("own.test", answers[0], *synced.nodes)
    synced.wait_in_sync()


def test_nodes_that_were_edited_alike_while_cut_join(synced: Cluster) -> None:
    heads = edit_apart(synced, ("alike", "alike"))
    synced.wait_in_sync(within=20)
    assert synced.a.sync()["head"] not in heads


@pytest.fixture
def three(world: World, have: Have) -> Cluster:
    """Three nodes in sync."""
    cluster = have(replace(sites.plan(world), count=3))
    cluster.wait_in_sync(within=30)
    return cluster


def test_an_edit_on_any_of_three_nodes_reaches_all(three: Cluster) -> None:
    for number, node in enumerate(three.nodes):
        node.folder.write(OWN, sites.site("own.test", f"edit {number}"))
        sites.wait_served("own.test", f"edit {number}", *three.nodes)
    three.wait_in_sync()


def test_an_edit_reaches_all_when_its_maker_is_gone_after_one_peer_has_it(three: Cluster) -> None:
    maker, first, last = three.nodes
    last.host.drop(*sites.CUT)
    until("it is cut off", lambda: linked(last), lambda peers: not peers, within=20)
    maker.folder.write(OWN, sites.site("own.test", "last words"))
    sites.wait_served("own.test", "last words", first)
    three.wait_in_sync(maker, first)
    maker.kill()
    until("it is gone", lambda: linked(first), lambda peers: not peers, within=20)
    assert "last words" not in last.inside.read(OWN)
    last.host.heal()
    sites.wait_served("own.test", "last words", last, within=30)
    tree = three.wait_in_sync(first, last)
    maker.start()
    assert three.wait_in_sync(within=30) == tree


def linked(node: Node) -> list[str]:
    """Return the peers that a node has a link to."""
    return [peer["node"] for peer in node.status()["peers"] if peer["linked"]]
