"""Sync in other setups than that of two nodes with nginx."""

from dataclasses import replace
from typing import Final

import pytest

from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import CUT
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Have, Start

OWN: Final = "conf.d/own.conf"

HOOK: Final = "! cat /tmp/refuse >&2 && cp /etc/nginx/data.txt /tmp/told"
"""Fails if there is something to be told why."""


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
    last.host.drop(*CUT)
    until("it is cut off", lambda: linked(last), lambda peers: not peers, within=20)
    before = last.tree()
    maker.folder.write(OWN, sites.site("own.test", "last words"))
    sites.wait_served("own.test", "last words", first)
    three.wait_in_sync(maker, first)
    maker.kill()
    until("it is gone", lambda: linked(first), lambda peers: not peers, within=20)
    assert last.tree() == before
    last.host.heal()
    sites.wait_served("own.test", "last words", last, within=30)
    tree = three.wait_in_sync(first, last)
    maker.start()
    assert three.wait_in_sync(within=30) == tree


def linked(node: Node) -> list[str]:
    """Return the peers that a node has a link to."""
    return [peer["node"] for peer in node.status()["peers"] if peer["linked"]]


@pytest.fixture
def hooked(have: Have) -> Cluster:
    """Two nodes with a service of the user's."""
    environment = {"HA_NGINX": "off", "HA_SITES": "", "HA_SYNC_SOAK": "0s", "HA_HOOK_SYNC": HOOK}
    return have(Plan(environment=environment))


def test_a_hook_is_told_of_a_peers_change_and_may_refuse_it(hooked: Cluster) -> None:
    maker, taker = hooked.a, hooked.b
    maker.folder.write("data.txt", "first")
    before = hooked.wait_in_sync()
    assert taker.inside.sh("cat /tmp/told") == "first"
    taker.inside.sh("echo 'the service does not like it' >/tmp/refuse")
    maker.folder.write("data.txt", "second")
    sites.wait_reason(taker, "HA_HOOK_SYNC", "the service does not like it")
    sites.wait_tree(taker, before)
    assert taker.inside.sh("cat /tmp/told") == "first"
    taker.inside.remove("/tmp/refuse")
    hooked.wait_in_sync(within=30)
    assert taker.inside.read("data.txt") == "second"


def test_a_name_that_is_not_utf8_is_synced_too(hooked: Cluster) -> None:
    """The kernel's news of it cannot be read: from then on the folder is looked at."""
    for text in ("one", "two"):
        hooked.b.folder.sh("""printf %s "$1" >"$(printf 'caf\\351')" """, text)
        wanted = hooked.b.tree()
        assert "caf\udce9" in wanted
        assert hooked.wait_in_sync() == wanted


def version(answer: str) -> str:
    """Return a site whose answer the client reads as the name of a node."""
    says = f"""return 200 '{{"node": "{answer}"}}';"""
    return f"server {{ listen 80; server_name version.test; {says} }}"


def test_a_preferred_node_that_was_away_never_serves_what_is_old(
    world: World, start: Start, client: Client
) -> None:
    path = "conf.d/version.conf"
    plan = Plan(
        environment={**sites.plan(world).environment, "HA_PREFER": "first"},
        files={path: version("old")},
    )
    pair = start(plan)
    pair.wait_well(within=30)
    pair.wait_in_sync()
    pair.a.stop()
    pair.wait_held_by(pair.b)
    head = pair.b.sync()["head"]
    pair.b.folder.write(path, version("new"))
    sites.wait_accepted(pair.b, head)
    with client.load(pair.vip, host="version.test") as load:
        pair.a.start()
        pair.wait_held_by(pair.a, within=30)
        always("it stays", pair.holders, lambda nodes: nodes == [pair.a], during=2)
    assert load.served.nodes == ["new"], load.served
    assert load.served.gap < 2, load.served
    pair.wait_in_sync()


def test_a_single_file_bind_mount_is_refused_with_a_way_out_and_both_serve(start: Start) -> None:
    mount = {"volumes": ["./.env:/etc/nginx/snippets/single.conf:ro"]}
    files = {"conf.d/own.conf": sites.site("own.test", "old")}
    pair = start(Plan(own_service={"host-b": mount}, files=files))
    pair.wait_settled(within=30)
    sites.wait_reason(pair.b, "snippets/single.conf", "mount the directory", within=30)
    pair.a.folder.write(OWN, sites.site("own.test", "new"))
    sites.wait_served("own.test", "new", pair.a)
    sites.always_serves(pair.b, "own.test", "old", during=1)
    until("both can serve", lambda: [node.status()["node"]["eligible"] for node in pair.nodes], all)
