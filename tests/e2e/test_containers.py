"""Containers of two hosts as one set of sites, each host seeing its own by HA_CONTAINERS_FILTER."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from docker.models.containers import Container

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import always, until
from tests.cluster.web import HEALTHCHECK, Engine, plan
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.conftest import Stage
from tests.e2e.fixtures import Have

LOADED: Final = 'ha_reloads_total{result="success"}'

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def proxy(stage: Stage) -> Iterator[Container]:
    """The second host's sidecar asks this, and not Docker itself."""
    with Engine(world=stage.world).proxied() as proxy:
        yield proxy
        stage.clear()


@pytest.fixture
def pair(world: World, have: Have, proxy: Container) -> Cluster:
    if proxy.status != "running":
        proxy.start()
    return have(plan(world, proxied=True))


@pytest.fixture
def engine(world: World) -> Iterator[Engine]:
    """The engine of all hosts; afterwards no container is left, and no site."""
    with Engine(world=world).cleared() as engine:
        yield engine


def ask(node: Node, host: str, path: str = "/", *options: str) -> Answer:
    """Return what an application answers through a node's own nginx."""
    said = node.host.run(
        *("curl", "--silent", "--show-error", "--fail", "--max-time", "3"),
        *("--header", f"Host: {host}", *options, f"http://127.0.0.1{path}"),
    )
    answer: Answer = json.loads(said)
    return answer


def status(node: Node, host: str, path: str = "/", port: str = "http") -> str:
    """Return the status code that a node's own nginx answers."""
    return node.host.run(
        *("curl", "--silent", "--insecure", "--output", "/dev/null", "--max-time", "3"),
        *("--write-out", "%{http_code}", "--resolve", f"{host}:443:127.0.0.1"),
        *("--resolve", f"{host}:80:127.0.0.1", f"{port}://{host}{path}"),
        check=False,
    )


def wait_by(node: Node, host: str, *names: str, path: str = "/", within: float = 10) -> Answer:
    """Wait until one of some containers answers."""
    return until(
        f"{node} serves {host} by {names}",
        lambda: ask(node, host, path),
        lambda said: said["by"] in names,
        within=within,
    )


def wait_status(node: Node, host: str, code: str, path: str = "/", *, within: float = 10) -> None:
    until(
        f"{node} answers {code} for {host}",
        lambda: status(node, host, path),
        lambda seen: seen == code,
        within=within,
    )


def site(node: Node, host: str) -> Answer:
    """Return what a node reports of a site."""
    (found,) = [one for one in node.status()["containers"]["sites"] if one["host"] == host]
    answer: Answer = found
    return answer


def test_a_container_on_either_host_is_a_site_on_both(pair: Cluster, engine: Engine) -> None:
    engine.run("host-a", "one", VIRTUAL_HOST='"one.test"')
    engine.run("host-b", "two", port=3000, VIRTUAL_HOST="two.test", VIRTUAL_PORT="3000")
    for node in pair.nodes:
        mine = wait_by(node, "one.test", "one")
        assert mine["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert mine["headers"]["x-forwarded-proto"] == "http"
        assert mine["headers"]["host"] == "one.test"
        # Asked by the node that it is on, also where the request came to the other one.
        assert mine["node"] == pair.a.address
        assert wait_by(node, "two.test", "two")["node"] == pair.b.address
        assert site(node, "two.test")["replicas"] == {pair.b.address: {"up": 1}}
        metrics = node.metrics()
        assert metrics['ha_site_up{site="one.test"}'] == 1
        assert metrics[f'ha_site_replicas{{node="{pair.b.address}",site="two.test"}}'] == 1
        listed = node.ha("sites").stdout
        for words in ("two.test +containers", "site.test +HA_SITES", "localhost +conf.d/default"):
            assert re.search(words, listed)
    # Nobody but the nodes gets in at the relay, not even with TLS.
    refused = pair.a.host.run(
        *("curl", "--silent", "--insecure", "--max-time", "3", "--output", "/dev/null"),
        *("--write-out", "%{http_code}", f"https://{pair.b.address}:8731/"),
    )
    assert refused == "400"


def test_paths_ports_labels_and_words_that_cannot_be_used(pair: Cluster, engine: Engine) -> None:
    engine.run(
        "host-a", "api", VIRTUAL_HOST="paths.test", VIRTUAL_PATH="/api/", VIRTUAL_DEST="/v1/"
    )
    engine.run("host-b", "root", VIRTUAL_HOST="not.test", labels={"ha.host": "paths.test"})
    multi = "many.test:\n  /:\n    port: 80\n  /x:\n    port: 80\n    dest: /y\n"
    engine.run("host-b", "many", VIRTUAL_HOST_MULTIPORTS=multi)
    engine.run("host-a", "odd", VIRTUAL_HOST="~^odd,odd.test; } server { listen 81")
    for node in pair.nodes:
        said = wait_by(node, "paths.test", "api", path="/api/a%20b?c=1")
        assert said["request"] == "GET /v1/a%20b?c=1 HTTP/1.1"
        assert wait_by(node, "paths.test", "root", path="/else")["request"].startswith("GET /else")
        assert wait_by(node, "many.test", "many", path="/x/z")["request"].startswith("GET /y/z")
    until("one is ignored", pair.a.problems, lambda seen: "container-ignored" in seen)
    assert "container-ignored" not in pair.b.problems()
    assert "~^odd" in pair.a.ha("check", check=False).stdout
    # A site of a person's own files wins, and that is said.
    pair.a.put("conf.d/own.conf", sites.site("many.test", "own"))
    sites.wait_served("many.test", "own", *pair.nodes)
    until("it is said", pair.b.problems, lambda seen: "container-ignored" in seen)
    pair.a.folder.sh("rm conf.d/own.conf")
    for node in pair.nodes:
        wait_by(node, "many.test", "many")


def test_a_site_stays_while_its_containers_are_not_up(pair: Cluster, engine: Engine) -> None:
    ours = engine.run("host-a", "ours", healthcheck=HEALTHCHECK, VIRTUAL_HOST="state.test")
    wait_by(pair.a, "state.test", "ours", within=15)
    theirs = engine.run("host-b", "theirs", VIRTUAL_HOST="state.test")
    wait_by(pair.b, "state.test", "theirs")
    always("own first", lambda: ask(pair.a, "state.test")["by"], lambda by: by == "ours", during=1)

    ask(pair.a, "state.test", "/sick")
    wait_by(pair.a, "state.test", "theirs", within=15)
    assert site(pair.a, "state.test")["replicas"][pair.a.address] == {"unhealthy": 1}
    theirs.pause()
    for node in pair.nodes:
        wait_status(node, "state.test", "503")
    assert "site-down" in pair.a.problems()
    theirs.unpause()
    wait_by(pair.a, "state.test", "theirs")
    # Another address after a restart is followed.
    before = engine.address("ours")
    ours.stop(timeout=0)
    engine.run("host-a", "taken")
    ours.start()
    assert engine.address("ours") != before or engine.address("taken") != before
    wait_by(pair.a, "state.test", "ours", within=15)
    for container in (ours, theirs):
        container.remove(force=True)
    wait_status(pair.b, "state.test", "503")
    sites.wait_unknown("state.test", *pair.nodes)


def test_docker_away_and_back(pair: Cluster, engine: Engine, proxy: Container) -> None:
    engine.run("host-b", "kept", VIRTUAL_HOST="kept.test")
    wait_by(pair.b, "kept.test", "kept")
    forbidden = ("--output", "/dev/null", "--write-out", "%{http_code}", "--request", "POST")
    api = "http://127.0.0.1:2375"
    assert pair.b.host.run("curl", "--silent", *forbidden, f"{api}/containers/create") == "403"
    assert "kept.test" not in pair.b.host.run("curl", "--silent", f"{api}/images/json")
    proxy.kill()
    until("it is said", pair.b.problems, lambda seen: "docker-unreachable" in seen)
    engine.run("host-b", "new", VIRTUAL_HOST="new.test")
    always("what was known is served", lambda: status(pair.b, "kept.test"), "200".__eq__, during=1)
    proxy.start()
    for node in pair.nodes:
        wait_by(node, "new.test", "new", within=20)
    assert "docker-unreachable" not in pair.b.problems()


def test_a_container_that_dies_costs_no_request(pair: Cluster, engine: Engine) -> None:
    engine.run("host-a", "live-a", VIRTUAL_HOST="live.test")
    dying = engine.run("host-a", "live-a2", VIRTUAL_HOST="live.test")
    engine.run("host-b", "live-b", VIRTUAL_HOST="live.test")
    wait_by(pair.a, "live.test", "live-a2")
    pair.move_to(pair.a)
    with engine.world.client.load(pair.vip, host="live.test", rate=100) as load:
        until("it is asked", lambda: len(load.served.requests) > 50)
        before = pair.a.metrics()[LOADED]
        dying.kill()
        until("it is out", lambda: pair.a.metrics()[LOADED], lambda now: now > before)
        for node, name in ((pair.a, "live-a"), (pair.b, "live-b")):
            _deploy(engine, node, name)
    assert len(load.served.failures) == 0, load.served


def test_what_passes_by_own_containers_and_through_the_relay(pair: Cluster, engine: Engine) -> None:
    engine.run("host-a", "pass", VIRTUAL_HOST="pass.test")
    for node in pair.nodes:
        wait_by(node, "pass.test", "pass")
        large = ("--data-binary", "@/tmp/large", "--header", "Expect:", "--max-time", "30")
        node.host.run("sh", "-c", "head -c 20000000 /dev/zero >/tmp/large")
        assert ask(node, "pass.test", "/", *large)["size"] == 20_000_000
        assert _streams_for(node, "pass.test") > 0.5
        echoed = node.host.run("python3", "-c", _ECHO, "pass.test")
        assert echoed == "101 echo"


def test_https_where_there_is_a_certificate_and_grpc(pair: Cluster, engine: Engine) -> None:
    names = "-addext subjectAltName=DNS:*.tls.test"
    pair.a.folder.sh(_CERTIFICATE.format(names=names), "certs/tls.test")
    pair.wait_in_sync()
    engine.run("host-a", "sure", VIRTUAL_HOST="sure.tls.test")
    engine.run("host-a", "both", VIRTUAL_HOST="both.tls.test", HTTPS_METHOD="noredirect")
    engine.run(
        "host-b", "only", VIRTUAL_HOST="only.test", CERT_NAME="tls.test", HTTPS_METHOD="nohttp"
    )
    engine.run("host-b", "bare", VIRTUAL_HOST="bare.test", HTTPS_METHOD="nohttp")
    rpc = ["sh", "-c", _RPC]
    # The one on the first host refuses connections, so that the other one is asked in its place.
    for host, name, program in (("host-b", "rpc", rpc), ("host-a", "deaf", ["sleep", "600"])):
        wanted = "rpc.tls.test"
        engine.run(host, name, command=program, VIRTUAL_HOST=wanted, VIRTUAL_PROTO="grpc")
    for node in pair.nodes:
        expected = {
            ("sure.tls.test", "http"): "308",
            ("sure.tls.test", "https"): "200",
            ("both.tls.test", "http"): "200",
            ("both.tls.test", "https"): "200",
            ("only.test", "http"): "000",
            ("only.test", "https"): "200",
            ("bare.test", "http"): "200",
            ("bare.test", "https"): "000",
            ("rpc.tls.test", "https"): "200",
            ("other.test", "https"): "000",
        }
        until(
            f"{node} serves with TLS",
            lambda: {key: status(node, key[0], port=key[1]) for key in expected},  # noqa: B023
            lambda seen: seen == expected,  # noqa: B023
        )
        assert site(node, "sure.tls.test")["certificate"] == "/etc/nginx/certs/tls.test"
    # A site that forbids HTTP gets it while there is no certificate, and that is said.
    for command in ("status", "check"):
        assert "certs/bare.test" in pair.b.ha(command, check=False).stdout
    assert "certs/bare.test" not in pair.a.ha("status").stdout
    pair.a.folder.sh("rm -r certs")
    pair.wait_in_sync()


def test_a_container_that_flaps_costs_few_reloads_and_no_request(
    pair: Cluster, engine: Engine
) -> None:
    engine.run("host-a", "calm", VIRTUAL_HOST="calm.test")
    flapping = engine.run("host-a", "flaps", VIRTUAL_HOST="flaps.test")
    wait_by(pair.a, "flaps.test", "flaps")
    pair.move_to(pair.a)
    before, begun = pair.a.metrics()[LOADED], time.monotonic()
    with engine.world.client.load(pair.vip, host="calm.test", rate=50) as load:
        for _ in range(6):
            flapping.pause()
            flapping.unpause()
            until("a second has passed", _after(1.0))
    assert len(load.served.failures) == 0, load.served
    assert pair.a.metrics()[LOADED] - before <= 3 + (time.monotonic() - begun) / 2
    wait_by(pair.a, "flaps.test", "flaps")


def test_spread_out_all_containers_are_used_alike_and_one_that_dies_is_not_missed(
    world: World, have: Have, engine: Engine
) -> None:
    pair = have(plan(world, {"HA_CONTAINERS_SPREAD": "on"}))
    names = {"near-a": "host-a", "far-a": "host-b", "near-b": "host-a", "far-b": "host-b"}
    started = {
        name: engine.run(host, name, VIRTUAL_HOST="spread.test") for name, host in names.items()
    }
    pair.move_to(pair.a)
    for node in pair.nodes:
        until(
            f"{node} uses all alike",
            lambda: _shares(node),  # noqa: B023 # used at once
            lambda shares: shares.keys() == names.keys() and min(shares.values()) >= 15,
        )
    with engine.world.client.load(pair.vip, host="spread.test", rate=100) as load:
        for name in ("far-a", "near-a"):
            begun = time.monotonic()
            started.pop(name).kill()
            until("it is out", lambda: _shares(pair.a).keys(), started.keys().__eq__)
            assert len(load.served.since(begun).failures) <= 1, load.served


def _shares(node: Node) -> Counter[str]:
    """Return how many of 100 requests each application answers."""
    ask = "for _ in $(seq 100); do curl --silent --max-time 2 --header 'Host: spread.test' $0; done"
    said = node.host.run("sh", "-c", ask, "http://127.0.0.1/")
    return Counter(json.loads(line)["by"] for line in said.splitlines())


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _deploy(engine: Engine, node: Node, name: str) -> None:
    """`docker compose up -d` of a new version: the old one goes, the new one becomes healthy."""
    old = engine.world.docker.containers.get(f"{engine.world.project}-{name}")
    old.stop(timeout=1)
    old.remove()
    new = f"{name}-new"
    engine.run(node.host.name, new, healthcheck=HEALTHCHECK, VIRTUAL_HOST="live.test")
    # Workers of before the reload may still take a connection; nobody is so quick on two hosts.
    until(
        f"{new} alone serves on {node}",
        lambda: {ask(node, "live.test")["by"] for _ in range(20)},
        lambda by: by == {new},
        within=15,
    )


def _streams_for(node: Node, host: str) -> float:
    """Return the seconds from the first word of a stream that takes one to its end."""
    times = "%{time_starttransfer} %{time_total}"
    options = ("--silent", "--output", "/dev/null", "--write-out", times)
    said = node.host.run("curl", *options, "--header", f"Host: {host}", "http://127.0.0.1/stream")
    first, last = map(float, said.split())
    return last - first


_CERTIFICATE: Final = """
umask 077; mkdir -p "$1"; cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=test {names} -keyout privkey.pem -out fullchain.pem 2>/dev/null
"""

_RPC: Final = (
    "printf 'events{} http { server { listen 80; http2 on; location / "
    "{ default_type application/grpc; return 200 ok; } } }' >/tmp/n.conf && "
    "exec nginx -c /tmp/n.conf -g 'daemon off;'"
)

_ECHO: Final = """
import socket, sys
with socket.create_connection(("127.0.0.1", 80), timeout=3) as one:
    one.sendall(f"GET /ws HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n"
        "Upgrade: echo\\r\\nConnection: Upgrade\\r\\n\\r\\n".encode())
    head = one.recv(4096).decode()
    one.sendall(b"echo")
    print(head.split()[1], one.recv(4).decode(), end="")
"""
