"""A crowd at the doors: what others can reach never moves the VIP, and stays reachable."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cluster.client import Client, Flood
from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e.fixtures import Have


@pytest.fixture
def pair(have: Have) -> Cluster:
    """Two nodes that do not mind that the crowd lives on the same cores."""
    return have(Plan(environment={"HA_ADVERT_INTERVAL": "1s"}))


@contextmanager
def untouched(pair: Cluster) -> Iterator[None]:
    """Check that no role changes, no link breaks and nothing is restarted."""
    before = [_history(node) for node in pair.nodes]
    yield
    assert [_history(node) for node in pair.nodes] == before


def _history(node: Node) -> tuple[object, ...]:
    status = node.status()
    links = [peer["linked"] for peer in status["peers"]]
    return status["started"], status["role_changes"], status["part_failures"], links


@contextmanager
def crowds(pair: Cluster, world: World, kind: str, count: int) -> Iterator[list[Flood]]:
    """Let two hosts hold `count` connections each to each node."""
    sources = (world.client, Client(container=world.gateway.container))
    with ExitStack() as stack:
        yield [
            stack.enter_context(source.flood(kind, count, node.address))
            for node in pair.nodes
            for source in sources
        ]


def scrape(world: World, node: Node) -> str:
    """Ask a node for its metrics from a third host, as Prometheus would."""
    url = f"http://{node.address}:9165/metrics"
    return run(world.hosts[2].container, "curl", "-sS", "--max-time", "10", url).stdout


def all_answer(pair: Cluster, world: World) -> None:
    for node in pair.nodes:
        assert "MASTER" in node.ha("status").stdout
        assert node.ha("health", check=False).returncode == 0
        assert "ha_eligible 1.0\n" in scrape(world, node)


@pytest.mark.timeout(300)
def test_twenty_thousand_connections_to_each_node_change_nothing(
    pair: Cluster, world: World
) -> None:
    with untouched(pair), crowds(pair, world, "idle", 10_000) as floods:
        until(
            "all were opened",
            lambda: [flood.opened for flood in floods],
            lambda opened: all(one >= 10_000 for one in opened),
            within=200,
        )
        all_answer(pair, world)


@pytest.mark.parametrize(
    ("kind", "count", "opened"), [("slow", 2000, 2000), ("mute", 500, 500), ("churn", 50, 5000)]
)
def test_connections_that_only_take_time_change_nothing(
    pair: Cluster, world: World, kind: str, count: int, opened: int
) -> None:
    with untouched(pair), crowds(pair, world, kind, count) as floods:
        until(
            "the crowd has come",
            lambda: [flood.opened for flood in floods],
            lambda seen: all(one >= opened for one in seen),
            within=60,
        )
        all_answer(pair, world)


def test_a_crowd_that_wants_metrics_gets_them_and_harms_nobody(pair: Cluster, world: World) -> None:
    with untouched(pair), crowds(pair, world, "get", 1250) as floods:
        until(
            "the crowd is answered",
            lambda: [flood.answered for flood in floods],
            lambda answered: all(one >= 500 for one in answered),
            within=60,
        )
        all_answer(pair, world)


def test_strangers_at_the_ssh_port_do_not_keep_the_peer_away(pair: Cluster, world: World) -> None:
    with (
        world.client.flood("idle", 500, pair.a.address, 8730),
        world.client.flood("idle", 500, pair.b.address, 8730),
    ):
        pair.a.kill()
        pair.a.start()
        pair.wait_well(within=40)
