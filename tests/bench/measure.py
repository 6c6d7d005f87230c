"""One measurement each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import now, run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World

RATE: Final = 200
"""Requests per second: a gap is known to 5 ms."""

SETTLE: Final = 2.5
"""Seconds that the client goes on after it is served again: a request may take 2 s."""

STABLE: Final = 11.0
"""Seconds after which a program's earlier deaths are forgotten."""

IDLE_SECONDS: Final = 30

LOAD_SECONDS: Final = 5

TICKS: Final = 100
"""Of CPU time per second, in /proc/PID/stat (sysconf(_SC_CLK_TCK))."""


def crash(cluster: Cluster, client: Client) -> float:
    """Return the gap after the MASTER's container was killed."""
    return _gap(cluster, client, Node.kill)


def crash_met_cold(cluster: Cluster, client: Client) -> float:
    """Return the same for a client whose ARP question the dead node's host answers."""
    living = cluster.backup.host
    with client.misled(cluster.vip, dead=cluster.master.host, living=living):
        return _gap(cluster, client, Node.kill)


def stop(cluster: Cluster, client: Client) -> float:
    """Return the gap when the MASTER's container is stopped."""
    return _gap(cluster, client, Node.stop)


def failover(cluster: Cluster, client: Client) -> float:
    """Return the gap of `ha failover`."""
    return _gap(cluster, client, lambda node: node.ha("failover"))


def dead_nginx(cluster: Cluster, client: Client) -> float:
    """Return the gap after all of the MASTER's nginx was killed, as it happens once in a while."""
    rested = now()
    until("nginx has run for a while", lambda: now() - rested > STABLE, within=STABLE + 10)
    return _gap(
        cluster, client, lambda node: node.signal("KILL", *node.processes("nginx: ")), moves=False
    )


def _gap(
    cluster: Cluster, client: Client, event: Callable[[Node], object], *, moves: bool = True
) -> float:
    """Return the longest time without an answer around `event`, and heal the cluster."""
    master, backup = cluster.master, cluster.backup
    with client.load(cluster.vip, rate=RATE) as load:
        load.wait_for(master.address)
        begun = now()
        event(master)
        if moves:
            load.wait_for(backup.address, within=30)
        else:
            answered = [node.address for node in cluster.nodes]
            until("nginx is gone or another", lambda: now() - begun > 1)
            load.wait_for(answered, within=30)
        served = now()
        # A lost packet is sent again after a second; its request must not be the last to end.
        until("the lost requests are through", lambda: now() - served > SETTLE, within=SETTLE + 10)
    _heal(cluster, master)
    return load.served.gap


def _heal(cluster: Cluster, master: Node) -> None:
    """Bring back what died; by hand that takes a restart, and the VIP returns to the first node."""
    if cluster.preempts:
        master.container.restart(timeout=0)
        cluster.wait_held_by(cluster.a, within=30)
    else:
        cluster.heal()
        cluster.wait_well(within=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """What our Python needs while nothing happens: MB, and percent of a core."""

    memory: float
    cpu: float


def idle(node: Node) -> Idle:
    """Watch the daemon's own process for half a minute."""
    (python,) = node.python()
    before, begun = _cpu_seconds(node, python.pid), now()
    until("half a minute has passed", lambda: now() - begun > IDLE_SECONDS, within=60)
    used = (_cpu_seconds(node, python.pid) - before) / (now() - begun)
    status = run(node.name, "cat", f"/proc/{python.pid}/status").stdout
    memory = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert memory
    return Idle(memory=int(memory[1]) / 1024, cpu=used * 100)


def _cpu_seconds(node: Node, pid: int) -> float:
    fields = run(node.name, "cat", f"/proc/{pid}/stat").stdout.rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_of_workers(node: Node) -> float:
    """Return the seconds of CPU time that the workers of a node's nginx have used."""
    workers = node.processes("nginx: worker process")
    return sum(_cpu_seconds(node, worker.pid) for worker in workers if worker.state != "Z")


def throughput(world: World, nginx: str) -> tuple[float, float]:
    """Return requests per second through the VIP, and of a plain nginx, in turns."""
    config = nginx.format(upstream=world.upstream.removeprefix("http://"))
    cluster = world.cluster(Plan(files={"nginx.conf": config}))
    plain = plain_nginx(world, config)
    cluster.up()
    cluster.wait_well(within=30)
    plain.up()
    targets = (cluster.vip, plain.address)
    for target in targets:
        until(f"{target} answers", partial(rate, world, target, seconds=1))
    rates = [
        tuple(rate(world, target, seconds=LOAD_SECONDS) for target in targets) for _ in range(5)
    ]
    return median(both[0] for both in rates), median(both[1] for both in rates)


def plain_nginx(world: World, config: str) -> Node:
    """Write a node on the third host that is nothing but nginx."""
    node = world.node("host-c")
    service = {
        "entrypoint": ["tini", "-g", "--", "nginx", "-g", "daemon off;"],
        "command": [],
        "healthcheck": {"disable": True},
    }
    node.write(Plan(service=service, files={"nginx.conf": config}), {})
    node.own_files()
    return node


def rate(world: World, address: str, *, seconds: int, host: str = "") -> float:
    """Return the requests per second that wrk gets answered."""
    said = run(
        world.client.container,
        *("wrk", "--threads", "1", "--connections", "32", "--duration", f"{seconds}s"),
        *(("--header", f"Host: {host}") if host else ()),
        f"http://{address}/static",
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    assert "Non-2xx" not in said, said
    return float(found[1])
