"""Histories that part, and meet again."""

from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.wait import always
from tests.e2e import sites

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
