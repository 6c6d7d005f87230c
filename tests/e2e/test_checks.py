"""A failure moves the VIP only if that helps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.cluster.client import MOMENT, Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import Host
from tests.cluster.node import Node, Plan
from tests.cluster.wait import always, until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Have, Start
from tests.e2e.problems import CHECK_FAILED, NGINX_CONFIG

PORT = 8099
URL = f"http://127.0.0.1:{PORT}/"


@contextmanager
def service(host: Host) -> Iterator[None]:
    """Let a service beside the sidecar answer the check."""
    serve = f"python3 -m http.server {PORT} --bind 127.0.0.1 --directory /tests/cluster"
    host.run("sh", "-c", f"{serve} >/dev/null 2>&1 & echo $! >/run/service.pid")
    try:
        yield
    finally:
        host.run("sh", "-c", "kill $(cat /run/service.pid)")


@pytest.fixture
def services(world: World) -> Iterator[list[ExitStack]]:
    """A service on each of two hosts; closing the stack ends it."""
    with ExitStack() as all_services:
        stacks = [all_services.enter_context(ExitStack()) for _ in range(2)]
        for stack, host in zip(stacks, world.hosts, strict=False):
            stack.enter_context(service(host))
        yield stacks


@pytest.fixture
def checked(have: Have, services: list[ExitStack]) -> Cluster:
    """A pair whose nodes need a service beside them."""
    assert services
    return have(Plan(environment={"HA_CHECK_URLS": URL}))


def wait_failing(node: Node, check: str) -> None:
    until(
        f"{check} fails on {node}",
        lambda: [item["name"] for item in node.status()["checks"] if item["up"] is False],
        lambda names: check in names,
    )


def test_the_vip_moves_when_a_check_fails_on_the_master_only(
    checked: Cluster, services: list[ExitStack], client: Client
) -> None:
    master, backup = checked.master, checked.backup
    with client.load(checked.vip) as load:
        services[checked.nodes.index(master)].close()
        load.wait_for(backup.address)
    assert load.served.gap < MOMENT, load.served
    checked.wait_held_by(backup)
    assert CHECK_FAILED in master.problems()
    assert CHECK_FAILED not in backup.problems()


def test_the_vip_stays_when_a_check_fails_on_the_backup(
    checked: Cluster, services: list[ExitStack]
) -> None:
    master, backup = checked.master, checked.backup
    services[checked.nodes.index(backup)].close()
    wait_failing(backup, URL)
    always("the VIP stays", checked.holders, lambda nodes: nodes == [master], during=2)


def test_the_vip_stays_when_a_check_fails_on_both(
    checked: Cluster, services: list[ExitStack], client: Client
) -> None:
    master, backup = checked.master, checked.backup
    services[checked.nodes.index(backup)].close()
    wait_failing(backup, URL)
    with client.load(checked.vip) as load:
        services[checked.nodes.index(master)].close()
        wait_failing(master, URL)
        always("the VIP stays", checked.holders, lambda nodes: nodes == [master], during=3)
    assert load.served.nodes == [master.address]
    assert not load.served.failures, load.served


def test_the_vip_stays_when_the_gateway_goes_for_both(
    pair: Cluster, world: World, client: Client
) -> None:
    master = pair.master
    with client.load(pair.vip) as load:
        world.gateway.unplug()
        for node in pair.nodes:
            wait_failing(node, "gateway")
        always("the VIP stays", pair.holders, lambda nodes: nodes == [master], during=3)
    world.gateway.plug()
    assert load.served.nodes[-1] == master.address


def test_the_vip_moves_when_only_the_master_loses_the_gateway(
    pair: Cluster, world: World, client: Client
) -> None:
    master, backup = pair.master, pair.backup
    ethernet = world.gateway.run("cat", "/sys/class/net/eth0/address").strip()
    with client.load(pair.vip) as load:
        master.host.drop(f"ether saddr {ethernet}", f"ether daddr {ethernet}")
        load.wait_for(backup.address)
    assert load.served.gap < MOMENT, load.served
    pair.wait_held_by(backup)


BROKEN = "events {}\nhttp { this is not nginx; }\n"


def test_a_node_with_a_broken_configuration_stays_up_and_says_why(
    start: Start, client: Client
) -> None:
    pair = start(Plan())
    pair.wait_well(within=30)
    good = pair.a.read("nginx.conf")
    pair.a.kill()
    pair.wait_held_by(pair.b)
    pair.a.put("nginx.conf", BROKEN)
    pair.a.start()
    until("it says why", pair.a.problems, lambda codes: NGINX_CONFIG in codes, within=20)
    status = pair.a.status()
    assert not status["node"]["eligible"]
    assert "[emerg]" in status["nginx"]["config_error"]
    assert "nginx.conf" in status["nginx"]["config_error"]
    with client.load(pair.vip) as load:
        load.wait_for(pair.b.address)
    pair.a.put("nginx.conf", good)
    pair.a.wait_ready(within=40)


def test_without_another_node_the_last_good_configuration_is_served_and_the_broken_one_kept(
    start: Start, client: Client
) -> None:
    pair = start(Plan(files={"conf.d/base.conf": sites.site("base.test", "base")}))
    pair.wait_well(within=30)
    pair.wait_in_sync()
    good = pair.a.read("nginx.conf")
    pair.b.kill()
    pair.a.kill()
    pair.a.put("nginx.conf", BROKEN)
    pair.a.start()
    with client.load(pair.vip) as load:
        load.wait_for(pair.a.address, within=40)
    assert pair.a.read("nginx.conf") == good
    sites.wait_reason(pair.a, "[emerg]", "kept as snapshot", "ha sync release")
    (aside,) = (hold for hold in pair.a.sync()["holds"] if hold["reason"] == "refused-at-start")
    snapshot = aside["message"].split()[-1]
    refused = pair.a.ha("rollback", snapshot, check=False)
    assert refused.returncode == 1
    assert "[emerg]" in refused.stderr
    assert pair.a.ha("export", snapshot, "/tmp/aside").returncode == 0


def test_a_broken_configuration_leaves_nobody_to_serve_when_the_peer_is_down(
    start: Start,
) -> None:
    pair = start(Plan(files={"nginx.conf": BROKEN}))
    pair.b.put("conf.d/other.conf", "# only here\n")
    (peer,) = until("they are linked", lambda: pair.a.sync()["peers"], within=30)
    assert (pair.a.sync()["head"], peer["in_sync"]) == (None, None)
    assert not any("ha_in_sync" in name for name in pair.a.metrics())
    pair.b.kill()
    until("it says why", pair.a.problems, lambda codes: NGINX_CONFIG in codes, within=30)
    status = pair.a.status()
    assert not status["node"]["eligible"]
    assert "[emerg]" in status["nginx"]["config_error"]
    assert pair.holders() == []
