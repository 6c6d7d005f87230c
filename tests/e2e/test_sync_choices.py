"""Two nodes that were used apart meet for the first time: a person chooses, once for both."""

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.host import CUT
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Start

FILES = ("conf.d/mine.conf", "conf.d/theirs.conf")
HOSTS = ("mine.test", "theirs.test")


@pytest.fixture
def strangers(world: World, start: Start) -> Cluster:
    """Two nodes with nothing in common, each with a site of its own."""
    pair = start(sites.plan(world))
    pair.wait_well(within=30)
    pair.wait_in_sync()
    before = pair.a.sync()["head"]
    pair.b.host.drop(*CUT)
    pair.wait_linked(linked=False)
    pair.b.wipe()
    for node, path, host in zip(pair.nodes, FILES, HOSTS, strict=True):
        node.folder.write(path, sites.site(host, host))
    pair.b.up()
    sites.wait_accepted(pair.a, before)
    pair.b.wait_ready(within=30)
    sites.wait_accepted(pair.b, None)
    pair.b.host.heal()
    pair.wait_linked()
    return pair


@pytest.mark.parametrize("whose", ["mine", "peer"])
def test_one_choice_ends_the_wait_of_both_and_loses_nothing(strangers: Cluster, whose: str) -> None:
    for node, peer in ((strangers.a, strangers.b), (strangers.b, strangers.a)):
        sites.wait_reason(node, "unrelated", "ha sync adopt mine", f"ha sync adopt {peer.address}")
    for node, host in zip(strangers.nodes, HOSTS, strict=True):
        sites.always_serves(node, host, host)
    heads = [node.sync()["head"] for node in strangers.nodes]
    strangers.a.ha("sync", "adopt", whose)
    strangers.wait_in_sync()
    chosen = 0 if whose == "mine" else 1
    sites.wait_served(HOSTS[chosen], HOSTS[chosen], *strangers.nodes)
    sites.wait_unknown(HOSTS[1 - chosen], *strangers.nodes)
    assert strangers.a.ha("sync", "adopt", whose, check=False).returncode == 1
    # What was displaced is in the history of both.
    for node in strangers.nodes:
        assert all(head[:12] in node.ha("history").stdout for head in heads)
    strangers.b.ha("restore", heads[1 - chosen], FILES[1 - chosen])
    for host in HOSTS:
        sites.wait_served(host, host, *strangers.nodes)
    strangers.wait_in_sync()
