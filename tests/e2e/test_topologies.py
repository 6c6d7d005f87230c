"""What holds for two nodes and one address holds for more."""

import pytest

from tests.cluster.client import MOMENT, Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import now
from tests.cluster.node import Plan
from tests.cluster.world import World
from tests.e2e.fixtures import Start


def plan(world: World, topology: str) -> Plan:
    """Return the plan of a topology."""
    first, second = world.address(200), world.address(201)
    first6 = world.address6(200)
    match topology:
        case "three nodes":
            return Plan(count=3)
        case "two virtual addresses":
            return Plan(vips=(first, second))
        case "virtual addresses of both families":
            return Plan(vips=(first, first6))
        case "an IPv6 address between IPv6 nodes":
            return Plan(ipv6=True, vips=(first6,))
        case _:
            return Plan(ipv6=True, vips=(first6, first))


TOPOLOGIES = (
    "three nodes",
    "two virtual addresses",
    "virtual addresses of both families",
    "an IPv6 address between IPv6 nodes",
    "virtual addresses of both families between IPv6 nodes",
)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_address_survives_a_kill_and_a_planned_handover(
    topology: str, world: World, start: Start, client: Client
) -> None:
    cluster = start(plan(world, topology))
    cluster.wait_well(within=30)
    cluster.wait_held_by(cluster.a)
    for vip in cluster.vips:
        survives_a_kill(cluster, vip, client)
    hands_over(cluster, client)


def survives_a_kill(cluster: Cluster, vip: str, client: Client) -> None:
    master = cluster.master
    others = [node.address for node in cluster.others(master)]
    with client.load(vip) as load, master.host.watch() as nic:
        load.wait_for(master.address)
        begun = now()
        master.kill()
        killed = now()
        load.wait_for(others, within=5)
        for address in cluster.vips:
            assert nic.gone(address, after=begun) - (killed - begun) < 4
    assert load.served.gap < 2, load.served
    cluster.wait_settled()
    master.start()
    cluster.wait_well()


def hands_over(cluster: Cluster, client: Client) -> None:
    master = cluster.master
    with client.load(cluster.vip) as load:
        load.wait_for(master.address)
        master.ha("failover")
        load.wait_for([node.address for node in cluster.others(master)])
    assert load.served.gap < MOMENT, load.served
    cluster.wait_well()


def test_three_nodes_lose_two(world: World, start: Start, client: Client) -> None:
    cluster = start(plan(world, "three nodes"))
    cluster.wait_well(within=30)
    last = cluster.nodes[2]
    with client.load(cluster.vip) as load:
        for node in cluster.nodes[:2]:
            node.kill()
        load.wait_for(last.address)
    cluster.wait_held_by(last)
