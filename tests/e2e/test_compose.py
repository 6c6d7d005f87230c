"""The variants of config/compose do what they are for; test_rolling.py starts two others."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.cluster import images
from tests.cluster.folder import Folder
from tests.cluster.host import run
from tests.cluster.node import REPOSITORY, Node, Plan
from tests.cluster.wait import always, until
from tests.cluster.world import SECRET, World
from tests.e2e import sites
from tests.e2e.fixtures import Start

VARIANTS: Final = REPOSITORY / "config/compose"


def answering(text: str) -> str:
    """Return an nginx.conf that answers with a text."""
    return f'events {{}} http {{ server {{ listen 80; return 200 "{text}"; }} }}\n'


def test_a_nginx_of_your_own_is_reloaded_and_may_refuse(start: Start) -> None:
    pair = start(
        Plan(
            compose=dict.fromkeys(("host-a", "host-b"), "own-nginx"),
            environment={"HA_SITES": "", "HA_SYNC_SOAK": "0s", "NGINX_IMAGE": images.LATEST},
            files={"nginx.conf": answering("one")},
            service_beside="nginx",
        )
    )
    pair.wait_well(within=30)
    maker, taker = pair.a, pair.b
    until("both have met", lambda: {node.sync()["head"] for node in pair.nodes}, is_one)
    maker.folder.write("nginx.conf", answering("two"))
    until("it is live there", lambda: taker.fetch("own.test"), lambda text: text == "two")
    maker.folder.write("nginx.conf", "nonsense;\n")
    sites.wait_reason(taker, 'unknown directive "nonsense"')
    assert taker.fetch("own.test") == "two"
    assert taker.folder.read("nginx.conf") == answering("two")
    maker.folder.write("nginx.conf", answering("three"))
    until("the next is", lambda: taker.fetch("own.test"), lambda text: text == "three", within=20)
    pair.move_to(taker)
    kill_beside(taker, "nginx")
    pair.wait_held_by(maker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A variant with the user's own proxy, and how its file says a word."""

    proxy: str
    file: str
    format: str

    @property
    def plan(self) -> Plan:
        """A pair of it, with that program from the image of the tests."""
        return Plan(
            compose=dict.fromkeys(("host-a", "host-b"), f"own-{self.proxy}"),
            environment={
                "HA_SITES": "",
                "HA_SYNC_SOAK": "0s",
                f"{self.proxy.upper()}_IMAGE": images.TEST,
            },
            service_beside=self.proxy,
        )

    def folder(self, node: Node) -> Folder:
        """What a node syncs."""
        path = f"/nodes/{node.directory.name}/{self.proxy}"
        return Folder(container=node.host.machine, path=path, user="0:0")

    def write(self, node: Node, word: str) -> None:
        """Let a node's proxy say a word."""
        self.folder(node).write(self.file, self.format % word)


HAPROXY: Final = Beside(
    proxy="haproxy",
    file="haproxy.cfg",
    format=(VARIANTS / "own-haproxy/haproxy/haproxy.cfg")
    .read_text()
    .replace("HAProxy serves", "%s"),
)
CADDY: Final = Beside(proxy="caddy", file="Caddyfile", format=':80 {\n\trespond "%s"\n}\n')


@pytest.mark.parametrize("beside", [HAPROXY, CADDY], ids=["haproxy", "caddy"])
def test_another_proxy_of_your_own_serves_what_was_written_on_either_node(
    start: Start, beside: Beside
) -> None:
    pair = start(beside.plan)
    pair.wait_well(within=30)
    maker, taker = pair.a, pair.b
    said = partial(taker.fetch, "own.test")
    until("the proxy serves", said, lambda text: "serves" in text)
    until("both have met", lambda: {node.sync()["head"] for node in pair.nodes}, is_one)
    beside.write(maker, "two")
    until("it is live there", said, lambda text: "two" in text)
    beside.folder(maker).write(beside.file, "nonsense {\n")
    if beside is HAPROXY:  # which is asked whether it likes it
        sites.wait_reason(taker, "unknown keyword 'nonsense'")
    always("what it refuses is not served", said, lambda text: "two" in text, during=2)
    beside.write(maker, "three")
    until("the next is", said, lambda text: "three" in text, within=20)
    pair.move_to(taker)
    kill_beside(taker, beside.proxy)
    pair.wait_held_by(maker)


def kill_beside(node: Node, service: str) -> None:
    """End the user's own proxy on a host."""
    container = node.name.replace("sidecar", service)
    subprocess.run(["docker", "kill", container], check=True, capture_output=True)


def is_one(heads: set[str | None]) -> bool:
    return len(heads) == 1 and None not in heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Lan:
    """Two containers on a network of their own; on two real hosts each would have its own."""

    project: str
    wire: str
    directory: Path

    @property
    def vip(self) -> str:
        """The virtual address."""
        return f"{self.wire}.10"

    @property
    def containers(self) -> list[str]:
        """Their names."""
        return [f"{self.project}-{host}-sidecar-1" for host in "ab"]

    def write(self, parent: str) -> None:
        """Write what a user has on each host; here the second one joins the first one's network."""
        for host, number in (("a", 11), ("b", 12)):
            directory = self.directory / host
            shutil.copytree(VARIANTS / "macvlan", directory)
            (directory / "nginx").mkdir()
            (directory / ".env").write_text(
                f"HA_NODES={self.wire}.11,{self.wire}.12\nHA_VIP={self.vip}\nHA_SECRET={SECRET}\n"
                f"LAN_PARENT={parent}\nLAN_SUBNET={self.wire}.0/24\nLAN_GATEWAY={self.wire}.1\n"
                f"LAN_ADDRESS={self.wire}.{number}\n"
            )
            override = {"services": {"sidecar": {"image": images.LATEST}}}
            text = json.dumps(override)[:-1]
            if host == "b":
                network = f"{self.project}-a_lan"
                text += (
                    f', "networks": {{"lan": !override {{"name": {network}, "external": true}}}}'
                )
            (directory / "docker-compose.override.yml").write_text(text + "}\n")

    def compose(self, host: str, *arguments: str) -> None:
        """Run docker compose on a host."""
        subprocess.run(
            ["docker", "compose", "--project-name", f"{self.project}-{host}", *arguments],
            cwd=self.directory / host,
            check=True,
            capture_output=True,
            timeout=120,
        )

    def holders(self) -> list[str]:
        """Return the containers that have the VIP."""
        command = ("ip", "address", "show", "eth0")
        shown = {name: run(name, *command, check=False).stdout for name in self.containers}
        return [name for name, text in shown.items() if f"{self.vip}/" in text]


@pytest.fixture
def lan(world: World, tmp_path: Path) -> Iterator[Lan]:
    wire = world.wire.rpartition(".")[2]
    parent = f"ha-lan-{wire}"
    found = Lan(project=f"{world.project}-lan", wire=f"10.214.{wire}", directory=tmp_path)
    found.write(parent)
    machine = world.hosts[0].machine
    run(machine, "ip", "link", "add", parent, "type", "veth", "peer", "name", f"{parent}-")
    try:
        for end in (parent, f"{parent}-"):
            run(machine, "ip", "link", "set", end, "up")
        for host in "ab":
            found.compose(host, "up", "--detach")
        yield found
    finally:
        for host in "ba":
            found.compose(host, "down", "--volumes", "--timeout", "0")
        run(machine, "ip", "link", "delete", parent)


def test_containers_with_addresses_of_their_own_fail_over(lan: Lan) -> None:
    (holder,) = until("one holds it", lan.holders, lambda names: len(names) == 1, within=30)
    (other,) = [name for name in lan.containers if name != holder]
    until("the other one can", lambda: run(other, "ha", "health", check=False).returncode == 0)
    subprocess.run(["docker", "kill", holder], check=True, capture_output=True)
    until("the other one holds it", lan.holders, lambda names: names == [other])
    fetch = f"import urllib.request as r; print(r.urlopen('http://{lan.vip}/').read().decode())"
    assert "serves this page" in run(other, "python3", "-c", fetch).stdout
