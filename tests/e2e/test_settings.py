"""Wrong settings end the container at once, with everything there is to correct."""

import subprocess

from tests.cluster import images
from tests.cluster.node import Plan
from tests.cluster.wait import until
from tests.cluster.world import SECRET, World
from tests.e2e.fixtures import Start

GOOD = {
    "HA_NODES": "192.0.2.11,192.0.2.12",
    "HA_VIP": "192.0.2.10",
    "HA_SECRET": SECRET,
}

BAD = {
    "HA_NODES": "192.0.2.11",
    "HA_VIP": "192.0.2.300",
    "HA_SECRET": "short-and-secret",
    "HA_NODE": "here",
    "HA_INTERFACE": "a-name-that-is-too-long",
    "HA_VRID": "256",
    "HA_ADVERT_INTERVAL": "1ms",
    "HA_PREFER": "second",
    "HA_NGINX": "maybe",
    "HA_SITES": "site.test",
    "HA_CHECK_URLS": "ftp://192.0.2.1/",
    "HA_CHECK_INTERVAL": "soon",
    "HA_CHECK_TIMEOUT": "0",
    "HA_CHECK_FALL": "0",
    "HA_CHECK_RISE": "many",
    "HA_SYNC_PORT": "65536",
    "HA_HTTP_PORT": "-1",
    "HA_HTTP_LISTEN": "eth0",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "TZ": "Mars/Olympus",
}


def ha_run(environment: dict[str, str]) -> tuple[int, str]:
    """Run the image with an environment; return the exit code and what it said."""
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    done = subprocess.run(
        ["docker", "run", "--rm", "--network", "none", *variables, images.LATEST],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_all_problems_are_named_at_once_with_their_values() -> None:
    code, said = ha_run({**BAD, "HA_ADVERT_INTERVALL": "1s"})
    assert code == 78
    assert [variable for variable in BAD if variable not in said] == []
    assert [variable for variable in BAD if BAD[variable] not in said] == ["HA_SECRET"]
    assert "HA_ADVERT_INTERVALL" in said


def test_missing_required_settings_are_named_at_once() -> None:
    code, said = ha_run({})
    assert code == 78
    assert [variable for variable in GOOD if variable not in said] == []


def test_a_misspelt_variable_is_an_error_with_a_suggestion() -> None:
    code, said = ha_run({**GOOD, "HA_PREFFER": "first"})
    assert code == 78
    assert "HA_PREFER" in said


def test_a_setting_and_its_file_exclude_each_other() -> None:
    code, said = ha_run({**GOOD, "HA_SECRET_FILE": "/run/secrets/ha"})
    assert code == 78
    assert "HA_SECRET_FILE" in said


def test_a_file_that_cannot_be_read_is_named() -> None:
    environment = {name: value for name, value in GOOD.items() if name != "HA_SECRET"}
    code, said = ha_run({**environment, "HA_SECRET_FILE": "/run/secrets/ha"})
    assert code == 78
    assert "/run/secrets/ha" in said


def test_a_node_waits_for_its_address_at_boot(start: Start, world: World) -> None:
    late = [world.address(21), world.address(22)]
    pair = start(Plan(environment={"HA_NODES": ",".join(late)}))
    until("it waits", lambda: late[0] in pair.a.logs(), within=20)
    assert pair.a.running
    assert pair.a.container.attrs["RestartCount"] == 0
    for node, address in zip(pair.nodes, late, strict=True):
        node.host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    for node in pair.nodes:
        node.wait_ready(within=30)
    until("one holds the VIP", pair.holders, lambda nodes: len(nodes) == 1)
    assert [node.container.attrs["RestartCount"] for node in pair.nodes] == [0, 0]
