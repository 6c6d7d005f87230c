"""`python -m tests.demo up` shows failover and sync and leaves a pair running; `down` stops it."""

import sys
from textwrap import indent
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.host import now, run
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.cluster.web import Engine, plan
from tests.cluster.world import World
from tests.demo.containers import show_containers
from tests.demo.people import People, settings
from tests.demo.say import say
from tests.demo.sites import show_merge, show_mistake_stays, show_site_spreads

PROJECT: Final = "kiss-ha-demo"

FAREWELL: Final = """
The pair goes on running. Look at it in other ways:

    curl http://{vip}/
    docker exec {a} ha status; docker exec {a} ha sites
    curl http://{address}:9165/metrics
    docker logs --follow {a}

where this machine does not reach the containers' network (Docker Desktop):

    docker exec {client} curl --silent http://{vip}/

Try more: docker kill {b}; docker pause {b}; docker exec {a} ha failover
The nodes' directories, with nginx's configuration: {directory}
Stop it: make demo-down

And this is its status page, live, on each node:

    http://{address}:9165/
    http://{other}:9165/
"""


def up() -> None:
    """Start two nodes and show what they survive; leave them running."""
    world = World(PROJECT)
    say("kiss-ha: two nodes, one virtual IP\n")
    cluster = start(world)
    show_site(world, cluster)
    with People(world, cluster) as people:
        killed = show_failover(world, cluster)
        people.wait_alert()
        bring_back(killed, cluster)
        people.wait_message()
    show_site_spreads(world, cluster)
    show_mistake_stays(cluster)
    show_merge(cluster)
    show_containers(world, cluster)
    people.show()
    show_status(killed)
    say(
        FAREWELL.format(
            vip=cluster.vip,
            a=cluster.a.name,
            b=cluster.b.name,
            address=cluster.a.address,
            other=cluster.b.address,
            client=world.client.container,
            directory=world.directory,
        )
    )


def start(world: World) -> Cluster:
    """Start the pair anew, whatever an earlier demo has left."""
    begun = now()
    world.up()
    world.clear()
    Engine(world=world).clear()
    environment = {"HA_SITES": f"_={world.upstream}", "HA_SYNC_SOAK": "2s", **settings(world)}
    cluster = world.cluster(plan(world, environment))
    cluster.up()
    cluster.wait_well(within=30)
    say(f"1. Two nodes are up after {now() - begun:.1f} s, each on a host of its own:")
    say(f"   {cluster.a.address} and {cluster.b.address}. The virtual IP is {cluster.vip}.\n")
    return cluster


def show_site(world: World, cluster: Cluster) -> None:
    """Print what the client gets from the virtual IP."""
    answer = run(world.client.container, "curl", "--silent", f"http://{cluster.vip}/").stdout
    say(f"2. A client asks for http://{cluster.vip}/ and the upstream says who passed it on:\n")
    say(f"{indent(answer.strip(), '       ')}\n")


def show_failover(world: World, cluster: Cluster) -> Node:
    """Kill the MASTER under load, print what the client saw, and return the killed node."""
    master, backup = cluster.master, cluster.backup
    with world.client.load(cluster.vip) as load:
        load.wait_for(master.address)
        master.kill()
        load.wait_for(backup.address)
        until("the client has seen enough", lambda: load.served.nodes[-1] == backup.address)
    cluster.wait_held_by(backup)
    served = load.served
    say(f"3. The MASTER, {master.address}, was killed while the client made new connections:")
    say(f"   {len(served.requests)} requests, {len(served.failures)} without an answer.")
    say(f"   Longest time without an answer: {served.gap * 1000:.0f} ms.")
    say(f"   {backup.address} holds the virtual IP now.\n")
    return master


def bring_back(killed: Node, cluster: Cluster) -> None:
    """Start the killed node again."""
    killed.start()
    cluster.wait_well(within=30)
    say(f"4. {killed.address} is back, as BACKUP: the virtual IP stays where it is.\n")


def show_status(node: Node) -> None:
    """Print what a node says of the pair."""
    say(f"11. All is well again. `ha status` on {node.address}:\n")
    say(indent(node.ha("status").stdout.strip(), "   "))


def down() -> None:
    """Stop everything of the demo."""
    world = World(PROJECT)
    Engine(world=world).clear()
    world.down()
    say("The demo is gone.")


COMMANDS: Final = {"up": up, "down": down}


def main() -> int:
    """Run a command and return its exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        print("usage: python -m tests.demo up|down", file=sys.stderr)
        return 64
    try:
        COMMANDS[sys.argv[1]]()
    except AssertionError as error:
        print(f"cannot show the demo: {error}", file=sys.stderr)
        print(
            f"  look at: docker ps --all --filter name={PROJECT}; docker logs NAME", file=sys.stderr
        )
        return 1
    return 0


sys.exit(main())
