"""What concerns all nodes is changed on one after the other, while they serve."""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Final

from tests.bench.soak import holdings, overlaps
from tests.cluster import previous, web
from tests.cluster.client import Client, Request
from tests.cluster.cluster import Cluster
from tests.cluster.host import Host
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.cluster.web import Engine
from tests.cluster.world import SECRET, World
from tests.e2e.fixtures import Start

RATE = 100
"""Requests per second."""

CALM = {"HA_ADVERT_INTERVAL": "500ms"}
"""A busy machine moves nothing on its own; a handover does not wait for adverts."""

_CODE: Final = (
    *("curl", "--silent", "--output", "/dev/null", "--max-time", "2"),
    *("--write-out", "%{http_code}"),
)


def both_ways(status: dict[str, Any]) -> bool:
    """Tell whether a node has all its peers, on a connection in each direction."""
    return all(peer["linked"] and not peer["error"] for peer in status["peers"])


def ready(*nodes: Node) -> None:
    """Wait until nodes can serve and have links in both directions, and nobody lacks the secret."""
    for node in nodes:
        node.wait_ready(within=30)
        until(f"{node} has its links", node.status, both_ways, within=20)
        assert "wrong-secret" not in node.problems()


@contextmanager
def served(
    client: Client, vip: str, hosts: Sequence[Host], nodes: Sequence[Node], site: str = "site.test"
) -> Iterator[None]:
    """Within it these nodes have the VIP in turn, and a move costs what is under way then.

    No two hosts have the VIP at once for longer than one needs to let it go.
    """
    with ExitStack() as stack:
        watches = [stack.enter_context(host.watch()) for host in hosts]
        load = stack.enter_context(client.load(vip, host=site, rate=RATE))
        load.wait_for(nodes[0].address)
        yield
        load.wait_for(nodes[-1].address)
        seen = load.served
    times = [holdings(watch, vip) for watch in watches]
    held = [(begun, host) for host, some in zip(hosts, times, strict=True) for begun, _ in some]
    turns = [host for _, host in sorted(held, key=itemgetter(0))]
    assert turns == [node.host for node in nodes], times
    moves = [moment for watch in watches for moment in watch.departures.get(vip, [])]
    assert len(lost(seen.failures, moves)) <= len(nodes) - 1, seen
    shared = [overlaps(pair) for pair in combinations(times, 2)]
    assert max((seconds for some in shared for seconds in some), default=0) < 0.1


def lost(failures: Sequence[Request], moves: Sequence[float]) -> list[Request]:
    """Return what failed without having been under way when the VIP left a host.

    At this pace that is one at most, where a machine is not so busy that requests take their time.
    Of those that the client made at once, for the machine had held it up, the first one counts.
    """
    found: list[Request] = []
    for one in sorted(failures, key=attrgetter("start")):
        under_way = any(one.start - 0.05 <= move <= one.end for move in moves)
        if not under_way and (not found or one.start - found[-1].start > 0.5 / RATE):
            found.append(one)
    return found


def in_turn(pair: Cluster) -> tuple[Node, Node]:
    """Return the BACKUP and the MASTER: the order in which they are restarted."""
    return pair.backup, pair.master


def test_a_pair_is_upgraded_and_gets_another_secret(
    start: Start, client: Client, tmp_path: Path
) -> None:
    new = secrets.token_hex(32)
    pair = start(Plan(service=previous.service(tmp_path), environment=CALM))
    pair.wait_well(within=30)
    assert {node.status()["node"]["version"] for node in pair.nodes} == {previous.VERSION}
    pair.move_to(pair.a)
    hosts = [node.host for node in pair.nodes]
    with served(client, pair.vip, hosts, [pair.a, pair.b, pair.a]):
        for node in in_turn(pair):
            node.change({"HA_SECRET": f"{new},{SECRET}"}, Plan())
            ready(*pair.nodes)
        for node in in_turn(pair):
            node.change({"HA_SECRET": new})
            ready(*pair.nodes)
    assert previous.VERSION not in {node.status()["node"]["version"] for node in pair.nodes}
    pair.a.folder.write("data.txt", "told with the new secret")
    pair.wait_in_sync()


def relayed(pair: Cluster) -> None:
    """Wait until each node serves what only the other one has, and check that it goes on."""

    def codes() -> set[str]:
        return {
            node.host.run(*_CODE, "--header", f"Host: on-{host}.test", "http://127.0.0.1/")
            for node in pair.nodes
            for host in ("host-a", "host-b")
        }

    until("the relays work", codes, {"200"}.__eq__, within=15)
    always("the relays work", codes, {"200"}.__eq__, during=5)


def test_a_secret_is_changed_and_containers_are_reached_through_the_relays(
    start: Start, client: Client, world: World
) -> None:
    new = secrets.token_hex(32)
    with Engine(world=world).cleared() as engine:
        pair = start(web.plan(world, CALM))
        pair.wait_well(within=30)
        for node in pair.nodes:
            name = node.host.name
            engine.run(name, name, VIRTUAL_HOST=f"on-{name}.test,both.test")
        pair.move_to(pair.a)
        relayed(pair)
        hosts = [node.host for node in pair.nodes]
        with served(client, pair.vip, hosts, [pair.a, pair.b, pair.a], "both.test"):
            for secret in (f"{new},{SECRET}", new):
                for node in in_turn(pair):
                    node.change({"HA_SECRET": secret})
                    ready(*pair.nodes)
                    relayed(pair)


def test_a_node_is_added_and_another_one_leaves(start: Start, client: Client, world: World) -> None:
    plan = Plan(
        compose={"host-a": "minimal", "host-b": "hardened"},
        own={"host-b": {"HA_SECRET": ""}},
        beside={"secrets/ha_secret": SECRET},
        environment=CALM,
    )
    pair = start(plan)
    pair.wait_well(within=30)
    assert SECRET not in str(pair.b.container.attrs)
    pair.move_to(pair.a)
    first, second, third = pair.a, pair.b, world.node("host-c")
    a, b, c = (host.address for host in world.hosts)
    hosts = [*world.hosts]
    with served(client, pair.vip, hosts, [first, second, third]):
        # One that comes too early waits, for the others would not tell it who serves.
        third.write(Plan(), {})
        shutil.copy(first.directory / ".env", third.directory)
        third.change({"HA_NODES": f"{a},{b},{c}"})
        until("it waits", third.problems, lambda codes: "nodes-differ" in codes, within=20)
        for node in (second, first):
            node.change({"HA_NODES": f"{a},{b},{c}"})
            ready(node)
        ready(first, second, third)
        first.stop()
        for node in (third, second):
            node.change({"HA_NODES": f"{b},{c}"})
            ready(node)
        ready(second, third)
