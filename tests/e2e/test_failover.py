"""The VIP moves when its node dies, freezes or is told to, and otherwise stays."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.cluster.client import MOMENT, Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import FOREVER, now, run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.e2e.fixtures import Start

LEASE = 4
"""Seconds after which a dead node's address must have left its host."""


def test_a_new_pair_serves_from_the_first_node(start: Start, client: Client) -> None:
    pair = start(Plan())
    pair.wait_well(within=30)
    assert pair.holders() == [pair.a]
    with client.load(pair.vip) as load:
        load.wait_for(pair.a.address)
    assert not load.served.failures, load.served


def test_each_node_shows_both_with_their_roles(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    roles = {master.address: "MASTER", backup.address: "BACKUP"}
    for node in pair.nodes:
        report = json.loads(node.ha("status", "--json").stdout)
        (peer,) = report["peers"]
        states = [report["node"], peer["state"]]
        assert {state["node"]: state["role"] for state in states} == roles
        assert [state["vips"] for state in states if state["role"] == "MASTER"] == [[pair.vip]]
        assert report["vips"] == [
            {"address": pair.vip, "held": node is master, "leased": node is master}
        ]


def test_the_vip_always_has_a_lifetime(pair: Cluster) -> None:
    host = pair.master.host
    always(
        "the VIP is leased",
        lambda: host.lifetimes()[pair.vip],
        lambda seconds: 0 < seconds < FOREVER,
        during=3,
    )


def test_the_peer_serves_when_the_masters_container_is_killed(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load, master.host.watch() as nic:
        load.wait_for(master.address)
        begun = now()
        master.kill()
        killed = now()
        load.wait_for(backup.address, within=5)
        assert nic.gone(pair.vip, after=begun) - (killed - begun) < LEASE
    assert load.served.gap < 2, load.served
    assert load.served.nodes == [master.address, backup.address]
    pair.wait_held_by(backup)


def test_the_peer_serves_when_the_master_is_killed_as_soon_as_it_holds_the_vip(
    pair: Cluster, client: Client
) -> None:
    old, new = pair.master, pair.backup
    with (
        client.load(pair.vip) as load,
        new.host.watch() as nic,
        ThreadPoolExecutor() as background,
    ):
        begun = now()
        command = background.submit(old.ha, "failover", check=False)
        nic.came(pair.vip, after=begun)
        new.kill()
        killed = now()
        assert nic.gone(pair.vip, after=begun) - (killed - begun) < LEASE
        load.wait_for(old.address)
        command.result()
    pair.wait_held_by(old)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.stops_python
def test_a_frozen_master_loses_the_vip_and_does_not_take_it_back(
    pair: Cluster, client: Client, index: int
) -> None:
    pair.move_to(pair.nodes[index])
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load, master.host.watch() as nic:
        begun = now()
        master.pause()
        frozen = now()
        load.wait_for(backup.address, within=5)
        assert nic.gone(pair.vip, after=begun) - (frozen - begun) < LEASE
        until("6 s have passed", lambda: now() - frozen > 6)
        with backup.host.watch() as other:
            thawed = now()
            master.unpause()
            if index == 0:  # it announced the VIP for a last time, maybe later than the peer did
                client.mislead(pair.vip, master.host.mac)
            until("the thawed node is BACKUP", master.role, lambda role: role == "BACKUP")
            if index == 0:
                believed = partial(client.believes, pair.vip)
                until("that is corrected", believed, lambda mac: mac == backup.host.mac, within=3)
            always("the peer holds it", pair.holders, lambda nodes: nodes == [backup], during=3)
        assert pair.vip not in other.departures
    assert load.served.nodes == [master.address, backup.address]
    served = load.served.since(thawed)
    assert not served.failures, served
    assert served.gap < 2, served
    until("its priority is the usual again", lambda: priority(backup) == base(backup))


def priority(node: Node) -> int:
    """Return the priority that keepalived advertises."""
    return int(node.status()["vrrp"]["effective_priority"])


def base(node: Node) -> int:
    """Return the priority that a node has by its place in HA_NODES."""
    return int(node.status()["priority"])


def test_a_node_that_comes_back_does_not_take_the_vip_back(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    master.kill()
    pair.wait_held_by(backup)
    master.start()
    master.wait_ready()
    always("the peer holds the VIP", pair.holders, lambda nodes: nodes == [backup], during=2)
    assert master.role() == "BACKUP"


def test_stopping_the_masters_container_fails_only_requests_of_that_moment(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load:
        load.wait_for(master.address)
        master.stop()
        load.wait_for(backup.address)
    assert load.served.gap < MOMENT, load.served
    assert master.container.wait()["StatusCode"] == 0
    pair.wait_held_by(backup)


def test_a_failover_command_fails_only_requests_of_that_moment(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load:
        load.wait_for(master.address)
        master.ha("failover")
        assert pair.holders() == [backup]
        load.wait_for(backup.address)
    assert load.served.gap < MOMENT, load.served
    until("the old MASTER is ready again", master.role, lambda role: role == "BACKUP")


def test_a_drain_fails_only_requests_of_that_moment_and_survives_a_restart(
    pair: Cluster, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    with client.load(pair.vip) as load:
        load.wait_for(master.address)
        master.ha("drain")
        load.wait_for(backup.address)
    try:
        assert load.served.gap < MOMENT, load.served
        master.replace()
        until("it is drained still", master.status, lambda status: status["node"]["draining"])
        master.wait_ready()
        pair.wait_held_by(backup)
    finally:
        master.ha("resume")
    until("it is not drained", master.status, lambda status: not status["node"]["draining"])


def test_a_drained_node_still_serves_when_it_is_the_last(pair: Cluster, client: Client) -> None:
    master, backup = pair.master, pair.backup
    backup.ha("drain")
    try:
        master.kill()
        with client.load(pair.vip) as load:
            load.wait_for(backup.address)
    finally:
        backup.ha("resume")


def test_a_failover_is_refused_when_no_peer_could_take_over(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    backup.kill()
    until(
        "the master sees that it is alone",
        master.status,
        lambda status: not any(peer["linked"] for peer in status["peers"]),
    )
    refused = master.ha("failover", check=False)
    assert refused.returncode == 1
    assert "cannot" in refused.stderr
    assert pair.holders() == [master]


@pytest.mark.stops_python
def test_the_vip_returns_to_a_preferred_first_node(start: Start) -> None:
    pair = start(Plan(environment={"HA_PREFER": "first"}))
    pair.wait_well(within=30)
    pair.a.kill()
    pair.wait_held_by(pair.b)
    pair.a.start()
    pair.wait_held_by(pair.a, within=30)
    pair.a.pause()
    pair.wait_held_by(pair.b)
    pair.a.unpause()
    pair.wait_held_by(pair.a)
    refused = pair.a.ha("failover", check=False)
    assert refused.returncode == 1
    assert "HA_PREFER" in refused.stderr


def test_hooks_run_in_order_on_every_change_of_role(start: Start) -> None:
    hook = "printenv HA_ROLE >>/var/lib/ha/roles"
    hooks = {f"HA_HOOK_{role}": hook for role in ("MASTER", "BACKUP", "FAULT")}
    pair = start(Plan(environment=hooks))
    pair.wait_well(within=30)
    old = pair.master
    old.ha("failover")
    until(
        "each change has run its hook",
        lambda: run(old.name, "cat", "/var/lib/ha/roles"),
        lambda roles: roles.stdout.split() == ["BACKUP", "MASTER", "BACKUP"],
    )
    metrics = old.metrics()
    changes = [metrics[f'ha_role_changes_total{{to="{role}"}}'] for role in ("BACKUP", "FAULT")]
    assert changes == [2, 0]
    assert "FAULT (was" not in old.logs()


def test_a_takeover_shows_no_problem(pair: Cluster) -> None:
    old, new = pair.master, pair.backup
    reports = [new.status()]
    with ThreadPoolExecutor() as background:
        handover = background.submit(old.ha, "failover")
        while not handover.done():
            reports.append(new.status())
        done = now()
        while now() - done < 2:
            reports.append(new.status())
    assert handover.result().returncode == 0
    assert {report["node"]["role"] for report in reports} == {"BACKUP", "MASTER"}
    assert [problem for report in reports for problem in report["problems"]] == []
