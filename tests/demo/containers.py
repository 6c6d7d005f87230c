"""What the demo shows of containers: one on each host, and the loss of one."""

import json
from typing import Final

from tests.cluster.cluster import Cluster
from tests.cluster.wait import until
from tests.cluster.web import Engine
from tests.cluster.world import World
from tests.demo.say import say

HOST: Final = "shop.test"


def show_containers(world: World, cluster: Cluster) -> None:
    """Run a container on each host, and kill the one that answers while a client asks."""
    engine = Engine(world=world)
    master, backup = cluster.master, cluster.backup
    near = engine.run(master.host.name, "shop-near", VIRTUAL_HOST=HOST)
    engine.run(backup.host.name, "shop-far", VIRTUAL_HOST=HOST)
    _wait_containers(cluster, 2)
    until("the near one answers", lambda: json.loads(master.fetch(HOST))["by"] == "shop-near")
    with world.client.load(cluster.vip, host=HOST, rate=100) as load:
        until("it is asked", lambda: len(load.served.requests) > 50)
        near.kill()
        until("the other one answers", lambda: load.served.nodes[-1] == backup.address)
        until("the client has seen enough", lambda: len(load.served.requests) > 250)
    served = load.served
    say(f"9. A container with VIRTUAL_HOST={HOST} was started on each host, without any file or")
    say("   published port. The one on the host that holds the virtual IP was killed under load:")
    say(f"   {len(served.requests)} requests, {len(served.failures)} without an answer.")
    say(f"   Then the one on {backup.address} answered, through the relay.\n")
    near.start()
    _wait_containers(cluster, 2)


def _wait_containers(cluster: Cluster, count: int) -> None:
    for node in cluster.nodes:
        until(
            f"{node} knows {count} containers",
            lambda: [
                states
                for site in node.status()["containers"]["sites"]  # noqa: B023 # used at once
                for states in site["replicas"].values()
                if states.get("up")
            ],
            lambda found: len(found) == count,
            within=20,
        )
