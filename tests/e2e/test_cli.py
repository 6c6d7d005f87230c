"""The commands, inside a running node."""

import json
import time

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.host import run
from tests.cluster.node import Plan
from tests.cluster.wait import until
from tests.e2e.fixtures import Have, Start


def test_status_answers_in_half_a_second(pair: Cluster) -> None:
    times = []
    for _ in range(5):
        begun = time.monotonic()
        pair.a.ha("status")
        times.append(time.monotonic() - begun)
    assert min(times) < 0.5


def test_status_is_the_same_by_command_and_by_http(pair: Cluster) -> None:
    command, http = json.loads(pair.a.ha("status", "--json").stdout), pair.a.status()
    assert command.keys() == http.keys()
    assert command["node"]["node"] == http["node"]["node"] == pair.a.address


def test_status_shows_every_node_to_a_person(pair: Cluster) -> None:
    text = pair.b.ha("status").stdout
    for word in (pair.a.address, pair.b.address, "MASTER", "BACKUP", pair.vip):
        assert word in text


def test_status_tells_which_peer_does_not_answer(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    backup.kill()
    until(
        "the peer is not linked",
        master.status,
        lambda status: not status["peers"][0]["linked"],
    )
    assert "down" in master.ha("status").stdout


def test_health_is_bad_while_nginx_hangs(pair: Cluster) -> None:
    backup = pair.backup
    backup.signal("STOP", *backup.processes("nginx: "))
    until("it is unhealthy", lambda: backup.ha("health", check=False).returncode == 1)


@pytest.mark.parametrize("command", ["check", "render", "version", "secret"])
def test_a_command_that_only_prints_ends_well(pair: Cluster, command: str) -> None:
    done = pair.a.ha(command)
    assert done.stdout


def test_a_new_secret_is_64_hex_digits_and_another_each_time(pair: Cluster) -> None:
    first, second = (pair.a.ha("secret").stdout.strip() for _ in range(2))
    assert len(bytes.fromhex(first)) == 32
    assert first != second


def test_the_secret_is_never_shown(pair: Cluster) -> None:
    secret = (pair.a.directory / ".env").read_text().partition("HA_SECRET=")[2].split()[0]
    shown = [pair.a.ha(command).stdout for command in ("check", "render", "status")]
    assert not any(secret in text for text in [*shown, pair.a.logs(tail=1000)])


@pytest.mark.parametrize("arguments", [("fly",), ("status", "--loud"), ("drain", "host-b")])
def test_a_wrong_usage_exits_64(pair: Cluster, arguments: tuple[str, ...]) -> None:
    assert pair.a.ha(*arguments, check=False).returncode == 64


@pytest.mark.parametrize(
    ("path", "word"), [("/", "kiss-ha"), ("/healthz", ""), ("/readyz", ""), ("/metrics", "ha_")]
)
def test_the_http_server_answers(pair: Cluster, path: str, word: str) -> None:
    for node in pair.nodes:
        url = f"http://{node.address}:9165{path}"
        assert word in node.host.run("curl", "--silent", "--fail", "--max-time", "2", url)


def test_the_http_server_only_reads(pair: Cluster) -> None:
    url = f"http://{pair.a.address}:9165/api/v1/status"
    for method in ("POST", "PUT", "DELETE"):
        code = ("--output", "/dev/null", "--write-out", "%{http_code}")
        assert pair.a.host.run("curl", "--silent", *code, "--request", method, url) == "405"


def test_waiting_for_a_pair_that_is_well_ends_at_once(pair: Cluster) -> None:
    done = pair.a.ha("status", "--wait=20")
    assert done.stdout == "all is well\n"


def test_the_doctor_finds_a_pair_that_is_well_so_on_both_nodes(pair: Cluster) -> None:
    for node in pair.nodes:
        done = node.ha("doctor", "--json", check=False)
        findings = json.loads(done.stdout)
        wrong = [one for one in findings if one["verdict"] == "problem"]
        assert wrong == []
        assert done.returncode == 0
        well = {one["check"] for one in findings if one["verdict"] == "ok"}
        assert {"VIP", "VRID", "VRRP", "secret", "settings", "sync port", "address"} <= well


def test_the_doctor_names_the_direction_in_which_vrrp_is_blocked(pair: Cluster) -> None:
    backup, master = pair.backup, pair.master
    way = f"from {backup.address} to {master.address}"
    back = f"passes from {master.address} to {backup.address}"
    # Nobody sees that until the BACKUP should serve: a BACKUP sends no adverts.
    master.host.drop(f"ip saddr {backup.address} ip protocol 112")
    try:
        for node in pair.nodes:
            said = until(
                "the doctor has noticed",
                lambda: node.ha("doctor", check=False).stdout,  # noqa: B023 # used at once
                lambda text: f"blocked {way}" in text,
                within=30,
            )
            assert back in said
    finally:
        master.host.heal()
    until(
        "it passes again",
        lambda: backup.ha("doctor", check=False).stdout,
        lambda text: f"passes {way}" in text,
    )
    counters = master.status()["vrrp"]["counters"]
    assert not [name for name, count in counters.items() if "error" in name and count]
    assert "Unknown VRID" not in backup.logs() + master.logs()


def test_the_doctor_also_looks_beside_a_node_that_runs(pair: Cluster) -> None:
    pair.a._compose("run", "--rm", "--no-TTY", "sidecar", "doctor", "--quiet")


def test_an_archive_for_a_bug_report_holds_no_secret(pair: Cluster) -> None:
    node = pair.a
    secret = (node.directory / ".env").read_text().partition("HA_SECRET=")[2].split()[0]
    script = "ha doctor --bundle - | tar --extract --gzip --to-stdout"
    shown = run(node.name, "sh", "-c", script, check=False).stdout
    assert "HA_NODES" in shown
    assert "vrrp_instance" in shown
    assert secret not in shown


def test_the_doctor_names_the_settings_that_differ(start: Start) -> None:
    pair = start(Plan(own={"host-b": {"HA_CHECK_INTERVAL": "2s"}}))
    pair.wait_well(within=30)
    said = until(
        "the node has heard of the other's settings",
        lambda: pair.a.ha("doctor", "--quiet", check=False).stdout,
        lambda text: "differs on" in text,
    )
    assert f"HA_CHECK_INTERVAL differs on {pair.b.address}" in said


def test_health_is_good_on_both_nodes_and_docker_sees_it(have: Have) -> None:
    for node in have(Plan(service={"healthcheck": {"interval": "1s"}})).nodes:
        assert node.ha("health").returncode == 0
        until(
            f"docker sees that {node} is healthy",
            lambda: node.container.attrs["State"]["Health"]["Status"],  # noqa: B023 # used at once
            lambda status: status == "healthy",
            within=15,
        )
