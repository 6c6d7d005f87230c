"""What the nodes tell each other, and what nobody else may."""

import json
import time

import pytest

from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Start
from tests.e2e.problems import SPLIT_BRAIN, WRONG_SECRET

PORT = "8730"
VRRP = ("ip protocol 112", "ip6 nexthdr 112")


def test_a_split_brain_is_named_and_one_node_steps_aside_until_it_heals(
    pair: Cluster, client: Client
) -> None:
    with client.load(pair.vip) as load:
        for node in pair.nodes:
            node.host.drop(*VRRP)
        until(
            "it is named",
            lambda: [SPLIT_BRAIN in node.problems() for node in pair.nodes],
            any,
        )
        assert any(node.metrics()["ha_split_brain"] == 1 for node in pair.nodes)
        pair.wait_held_by(pair.a, within=10)
        load.wait_for(pair.a.address)
        for node in pair.nodes:
            node.host.heal()
        until(
            "it is over",
            lambda: [node.metrics()["ha_split_brain"] for node in pair.nodes],
            lambda values: values == [0, 0],
            within=20,
        )
        pair.wait_well()
    assert any("split brain" in node.logs(tail=400) for node in pair.nodes)
    assert load.served.gap < 2, load.served


def test_a_wrong_secret_is_named_and_the_right_one_works_at_once(start: Start) -> None:
    pair = start(Plan(own={"host-b": {"HA_SECRET": "another" + "0" * 57}}))
    pair.wait_settled(within=30)
    for node in pair.nodes:
        until(f"{node} names it", node.problems, lambda codes: WRONG_SECRET in codes, within=15)
        assert not any(peer["linked"] for peer in node.status()["peers"])
    right = (pair.a.directory / ".env").read_text()
    (pair.b.directory / ".env").write_text(right)
    pair.b.up()
    pair.wait_well(within=15)


def ssh(node: Node, target: Node, *command: str, key: str = "/run/ha/ssh/client_key") -> int:
    """Call a peer's sshd from inside a node, as a person with its key could."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes")
    given = [word for option in options for word in ("-o", option)]
    call = ["ssh", "-F", "none", "-i", key, "-p", PORT, *given, f"root@{target.address}", *command]
    return run(node.name, "timeout", "5", *call, check=False).returncode


def say(node: Node, target: Node, head: str) -> None:
    """Tell a peer over a link of its own, with the real key, that the head is this."""
    state = {"node": node.address, "version": "9", "head": head, "clock": time.time() + 2}
    line = json.dumps({"protocol": [1, 0], **state})
    options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    call = f"ssh {options} -i /run/ha/ssh/client_key -p {PORT} root@{target.address} link"
    script = f'{{ printf "%s\\n" "$1"; sleep 2; }} | timeout 5 {call}'
    run(node.name, "sh", "-c", script, "sh", line, check=False)


@pytest.mark.parametrize("head", ["v2:not-an-id", "f" * 64], ids=["no id", "unknown"])
def test_a_peer_that_lies_about_its_head_only_fails_itself(synced: Cluster, head: str) -> None:
    failures = synced.a.status()["part_failures"]
    say(synced.b, synced.a, head)
    for node in reversed(synced.nodes):
        node.folder.write("conf.d/lie.conf", sites.site("lie.test", f"{head[0]} {node.address}"))
        sites.wait_served("lie.test", f"{head[0]} {node.address}", *synced.nodes, within=30)
    synced.wait_in_sync(within=30)
    assert synced.a.status()["part_failures"] == failures


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("sh",),
        ("sh -c 'touch /run/intruder'",),
        ("link; touch /run/intruder",),
        ("link $(touch /run/intruder)",),
        ("rsync --server . /run/intruder",),
        ("rsync --server --daemon . ; touch /run/intruder",),
        ("-N",),
    ],
    ids=lambda command: " ".join(command) or "a shell",
)
def test_the_nodes_own_key_gives_neither_a_shell_nor_another_command(
    pair: Cluster, command: tuple[str, ...]
) -> None:
    assert ssh(pair.a, pair.b, *command) != 0
    assert run(pair.b.name, "test", "-e", "/run/intruder", check=False).returncode == 1


def test_a_refused_command_is_logged(pair: Cluster) -> None:
    ssh(pair.a, pair.b, "reboot-the-host")
    until("it is logged", lambda: "reboot-the-host" in pair.b.logs())


def test_nothing_can_be_pushed_with_the_nodes_own_key(pair: Cluster) -> None:
    """As rsync, scp and sftp would: all want another command or a subsystem."""
    options = f"-F none -i /run/ha/ssh/client_key -p {PORT} -o StrictHostKeyChecking=no"
    remote = f"root@{pair.b.address}"
    shell = f"ssh {options} -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    push = ("rsync", "--rsh", shell, "/etc/hostname", f"{remote}:/run/intruder")
    daemon = ("rsync", "--rsh", shell, "/etc/hostname", f"{remote}::module/intruder")
    for command in (push, daemon):
        assert run(pair.a.name, "timeout", "5", *command, check=False).returncode != 0
    assert run(pair.b.name, "test", "-e", "/run/intruder", check=False).returncode == 1


def test_a_foreign_key_is_refused(pair: Cluster) -> None:
    run(
        pair.a.name,
        "sh",
        "-c",
        "rm -f /tmp/foreign*; ssh-keygen -q -t ed25519 -N '' -f /tmp/foreign",
    )
    assert ssh(pair.a, pair.b, "link", key="/tmp/foreign") == 255


def test_the_nodes_own_key_is_refused_from_elsewhere(pair: Cluster, world: World) -> None:
    key = run(pair.a.name, "cat", "/run/ha/ssh/client_key").stdout
    client = world.client.container
    script = 'umask 077; printf "%s\\n" "$1" >/tmp/stolen'
    run(client, "sh", "-c", script, "sh", key)
    options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    call = f"timeout 5 ssh {options} -i /tmp/stolen -p {PORT} root@{pair.b.address} link"
    assert run(client, "sh", "-c", call, check=False).returncode == 255
    run(client, "rm", "/tmp/stolen")


def test_bad_callers_do_not_lock_out_the_peer(pair: Cluster) -> None:
    run(
        pair.a.name,
        "sh",
        "-c",
        "rm -f /tmp/foreign*; ssh-keygen -q -t ed25519 -N '' -f /tmp/foreign",
    )
    for _ in range(10):
        ssh(pair.a, pair.b, "link", key="/tmp/foreign")
    pair.a.kill()
    pair.a.start()
    pair.wait_well(within=20)
