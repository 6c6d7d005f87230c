"""What happens inside the MASTER's container does not reach the client, or for a moment only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import images
from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import now, run
from tests.cluster.node import Node, Plan, Process
from tests.cluster.wait import always, until
from tests.cluster.world import World
from tests.e2e.fixtures import Start
from tests.e2e.problems import PART_FAILED, VIP_NOT_LEASED

SITE_PACKAGES = "/opt/kiss-ha/venv/lib/python3.13/site-packages"

# The part that serves HTTP fails twice before it works.
FAULT = """
import sidecar.web.app as app
serve, calls = app.serve, []
async def broken(*arguments, **options):
    calls.append(1)
    if len(calls) <= 2:
        raise RuntimeError("injected")
    await serve(*arguments, **options)
app.serve = broken
"""
FAILURES = 'ha_part_failures_total{part="http"}'


def nginx_masters(node: Node) -> list[Process]:
    return node.processes("nginx: master")


def restarts(node: Node, name: str) -> int:
    processes = node.status()["processes"]
    return int(next(item["restarts"] for item in processes if item["name"] == name))


def test_the_vip_leaves_the_nic_when_python_is_killed_and_the_container_restarts(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    before = master.container.attrs["RestartCount"]
    with client.load(pair.vip) as load, master.host.watch() as nic:
        died = now()
        master.signal("KILL", *master.python())
        assert nic.gone(pair.vip, after=died) < 2
        load.wait_for(backup.address)
    assert load.served.gap < 2, load.served
    until(
        "the container restarts",
        lambda: master.container.attrs["RestartCount"],
        lambda count: count == before + 1,
    )
    master.wait_ready()
    pair.wait_held_by(backup)
    assert master.role() == "BACKUP"


@pytest.mark.stops_python
def test_a_hung_python_keeps_serving_until_nginx_dies_too(pair: Cluster, client: Client) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load, master.host.watch() as nic:
        master.signal("STOP", *master.python())
        always("it serves on", pair.holders, lambda nodes: nodes == [master], during=8)
        assert not load.served.failures, load.served
        assert load.served.nodes == [master.address]
        begun = now()
        master.signal("KILL", *master.processes("nginx: "))
        killed = now()
        assert nic.gone(pair.vip, after=begun) - (killed - begun) < 5
        load.wait_for(backup.address)
    master.signal("CONT", *master.python())
    master.wait_ready()
    pair.wait_held_by(backup)


def test_keepalived_comes_back_when_its_parent_is_killed(pair: Cluster, client: Client) -> None:
    master = pair.master
    before = restarts(master, "keepalived")
    with client.load(pair.vip) as load:
        parent = min(master.processes("keepalived --"), key=lambda process: process.pid)
        master.signal("KILL", parent)
        until("it has restarted", lambda: restarts(master, "keepalived") > before)
        master.wait_ready()
        pair.wait_settled()
        load.wait_for([node.address for node in pair.holders()])
    assert load.served.gap < 2, load.served


def test_nothing_stale_stays_when_all_of_keepalived_is_killed(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load:
        died = now()
        master.signal("KILL", *master.processes("keepalived --"))
        load.wait_for(backup.address)
        pair.wait_held_by(backup, within=4 - (now() - died))
        master.wait_ready()
    assert load.served.gap < 4, load.served
    pair.wait_held_by(backup)


@pytest.mark.parametrize("index", [0, 1])
def test_a_keepalived_that_hangs_as_master_is_ended_and_one_node_holds_the_vip(
    pair: Cluster, client: Client, index: int
) -> None:
    pair.move_to(pair.nodes[index])
    master, backup = pair.master, pair.backup
    before = restarts(master, "keepalived")
    known = [node.logs(tail=10_000) for node in pair.nodes]
    with client.load(pair.vip) as load:
        load.wait_for(master.address)
        hung = now()
        master.signal("STOP", *master.processes("keepalived --"))
        load.wait_for(backup.address)
        pair.wait_held_by(backup, within=6 - (now() - hung))
        always("the peer holds it", pair.holders, lambda nodes: nodes == [backup], during=3)
    assert restarts(master, "keepalived") == before + 1
    pair.wait_well()
    assert pair.holders() == [backup]
    logs = [node.logs(tail=10_000) for node in pair.nodes]
    said = "".join(log.removeprefix(old) for log, old in zip(logs, known, strict=True))
    assert "hangs" in said
    assert "split brain" not in said


def test_a_lease_script_that_cannot_run_is_named_and_the_vip_stays(start: Start) -> None:
    pair = start(Plan(service={"volumes": ["/dev/null:/usr/lib/kiss-ha/lease:ro"]}))
    pair.wait_held_by(pair.a, within=30)
    until("it is named", pair.a.problems, lambda codes: VIP_NOT_LEASED in codes, within=15)
    always("it serves on", pair.holders, lambda nodes: nodes == [pair.a], during=6)
    assert VIP_NOT_LEASED in pair.a.problems()
    assert [restarts(node, "keepalived") for node in pair.nodes] == [0, 0]


def test_a_killed_nginx_master_leaves_no_orphans_and_the_vip_stays(
    pair: Cluster, client: Client
) -> None:
    master = pair.master
    (old,) = nginx_masters(master)
    with client.load(pair.vip) as load:
        load.wait_for(master.address)
        master.signal("KILL", old)
        (new,) = until(
            "another nginx runs",
            lambda: nginx_masters(master),
            lambda found: len(found) == 1 and found[0].pid != old.pid,
        )
        master.wait_ready()
        load.wait_for([node.address for node in pair.holders()])
    workers = master.processes("nginx: worker")
    assert workers
    assert {worker.parent for worker in workers} == {new.pid}
    assert load.served.gap < 2, load.served
    assert pair.holders() == [master]


def test_the_vip_moves_when_nginx_cannot_come_back(pair: Cluster, client: Client) -> None:
    master, backup = pair.master, pair.backup
    good = master.read("nginx.conf")
    master.put("nginx.conf", "broken\n")
    try:
        with client.load(pair.vip) as load:
            load.wait_for(master.address)
            master.signal("KILL", *nginx_masters(master))
            load.wait_for(backup.address)
        assert load.served.gap < 2, load.served
        pair.wait_held_by(backup)
    finally:
        master.put("nginx.conf", good)
    master.wait_ready(within=40)
    pair.wait_held_by(backup)


def test_the_vip_moves_when_nginx_hangs(pair: Cluster, client: Client) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load:
        master.signal("STOP", *master.processes("nginx: "))
        load.wait_for(backup.address)
        pair.wait_held_by(backup)
    assert load.served.nodes[-1] == backup.address


@contextmanager
def hogs(world: World, count: int) -> Iterator[None]:
    """Keep the processors busy."""
    script = f"for i in $(seq {count}); do while :; do :; done & done; wait"
    name = f"{world.project}-hogs"
    container = world.docker.containers.run(
        images.TEST, ["sh", "-c", script], name=name, detach=True, auto_remove=True
    )
    try:
        yield
    finally:
        container.kill()


def test_keepalived_runs_in_real_time_where_the_kernel_grants_it(pair: Cluster) -> None:
    node = pair.master
    *_, adverts = node.processes("keepalived --dont-fork")
    fields = run(node.name, "cat", f"/proc/{adverts.pid}/stat").stdout.rpartition(") ")[2].split()
    attempt = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))"
    granted = run(node.name, "python3", "-c", attempt, check=False).returncode == 0
    assert int(fields[38]) == (os.SCHED_RR if granted else os.SCHED_OTHER)


@pytest.mark.alone
def test_16_cpu_hogs_change_no_role(pair: Cluster, world: World) -> None:
    before = [node.status()["role_changes"] for node in pair.nodes]
    master = pair.master
    begun = now()
    with hogs(world, 16):
        until("20 s have passed", lambda: now() - begun > 20, within=30)
    assert [node.status()["role_changes"] for node in pair.nodes] == before
    assert pair.holders() == [master]


def test_a_bug_in_a_part_that_is_not_vital_is_shown_and_serving_goes_on(
    start: Start, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "zz-fault.pth").write_text("import fault_of_the_test\n")
    (tmp_path / "fault_of_the_test.py").write_text(FAULT)
    volumes = [f"{file}:{SITE_PACKAGES}/{file.name}:ro" for file in tmp_path.iterdir()]
    pair = start(Plan(service={"volumes": volumes}))
    pair.wait_settled(within=30)
    with client.load(pair.vip) as load:
        for node in pair.nodes:
            node.wait_ready(within=30)
            assert PART_FAILED in node.problems()
            until("both failures are counted", lambda: node.metrics()[FAILURES] == 2)  # noqa: B023 # used at once
    assert not load.served.failures, load.served
    assert pair.holders() == [pair.a]
