"""Hosts whose clocks are an hour wrong: they say so, merge alike, and keep the order of edits."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node, Plan
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Start

_LIBRARY: Final = "/usr/local/lib/clock.so"
_CLOCKS: Final = {"host-b": "3600", "host-c": "-3600"}


@pytest.fixture
def clocks(world: World, start: Start) -> Iterator[Cluster]:
    """Three nodes: the clock of the second is an hour ahead, that of the third an hour behind."""
    machine = world.hosts[0].machine
    run(machine, "cp", _LIBRARY, "/nodes/clock.so")
    library = f"{world.directory}/clock.so:{_LIBRARY}:ro"
    preload = "./ld.so.preload:/etc/ld.so.preload:ro"
    plan = Plan(
        count=3,
        environment={"HA_SYNC_SOAK": "0s"},
        beside={"ld.so.preload": f"{_LIBRARY}\n", **{one: f"{one}\n" for one in _CLOCKS.values()}},
        own_service={
            host: {"volumes": [library, preload, f"./{clock}:/etc/clock-skew:ro"]}
            for host, clock in _CLOCKS.items()
        },
    )
    cluster = start(plan)
    for node in cluster.nodes:
        node.wait_ready(within=30)
    cluster.wait_linked()
    cluster.wait_settled()
    cluster.wait_in_sync(within=30)
    yield cluster
    run(machine, "rm", "/nodes/clock.so")


def test_wrong_clocks_are_named_and_decide_nothing_but_which_of_two_edits_is_served(
    clocks: Cluster,
) -> None:
    right, ahead, behind = clocks.nodes
    for node, skews in ((right, ("+3600", "-3600")), (ahead, ("-3600", "-7200"))):
        sites.wait_reason(node, "clock-skew", *skews)
    # Who is edited last is served, whatever its clock says.
    for node in (right, ahead, behind, right):
        sites.wait_served("turn.test", _edit(node, "turn"), *clocks.nodes)
    clocks.wait_in_sync()
    # Of edits while none knows of another that of the fastest clock is served, on every node.
    heads = [node.sync()["head"] for node in clocks.nodes]
    for node in clocks.nodes:
        node.ha("sync", "hold")
    for node in (ahead, right, behind):
        _edit(node, node.host.name)
        sites.wait_served("same.test", _edit(node, "same"), node)
    for node, head in zip(clocks.nodes, heads, strict=True):
        sites.wait_accepted(node, head)
        node.ha("sync", "release")
    for node in clocks.nodes:
        sites.wait_served(f"{node.host.name}.test", node.host.name, *clocks.nodes, within=30)
    sites.wait_served("same.test", ahead.host.name, *clocks.nodes)
    clocks.wait_in_sync(within=30)
    # What follows such a merge wins over it, and is above it in the history of every node.
    merged = behind.sync()["head"][:12]
    sites.wait_served("same.test", _edit(behind, "same"), *clocks.nodes)
    clocks.wait_in_sync()
    histories = [_history(node) for node in clocks.nodes]
    known = set(histories[0]).intersection(*histories)  # each may have tried a merge of its own
    assert len({tuple(name for name in one if name in known) for one in histories}) == 1
    assert all(one[:2] == [behind.sync()["head"][:12], merged] for one in histories)


def _edit(node: Node, name: str) -> str:
    """Let a site answer with the name of the node that was edited; return that."""
    word = node.host.name
    node.folder.write(f"conf.d/{name}.conf", sites.site(f"{name}.test", word))
    return word


def _history(node: Node) -> list[str]:
    """Return the snapshots that a node lists, the newest first."""
    return [line.split()[0] for line in node.ha("history").stdout.splitlines()[1:]]
