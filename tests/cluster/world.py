"""One private network on this machine, with hosts, a gateway, an upstream and a client."""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import docker

from tests.cluster import images
from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.host import Host
from tests.cluster.node import Node, Plan
from tests.cluster.shell import SHELLS, Shell

COMPOSE_FILE: Final = Path(__file__).with_name("docker-compose.yml")
HOSTS: Final = ("host-a", "host-b", "host-c")
SECRET: Final = secrets.token_hex(32)


class World:
    """A compose project named `project`; `up` and `down` start and end it."""

    def __init__(
        self, project: str, directory: Path | None = None, *, first_wire: int | None = None
    ) -> None:
        self.project = project
        self._first_wire = secrets.randbelow(256) if first_wire is None else first_wire % 256
        self.directory = directory or Path(tempfile.gettempdir()) / project
        self.docker = docker.from_env()

    @cached_property
    def wire(self) -> str:
        """The first three numbers of the network's addresses: its own, or free ones."""
        networks: list[dict[str, Any]] = [network.attrs for network in self.docker.networks.list()]
        subnets: dict[str, str] = {
            config["Subnet"]: network["Name"]
            for network in networks
            for config in network["IPAM"]["Config"] or []
        }
        ours = [s for s, name in subnets.items() if name == f"{self.project}_wire" and "." in s]
        if ours:
            return ours[0].rpartition(".")[0]
        candidates = (f"10.213.{(self._first_wire + step) % 256}" for step in range(256))
        return next(wire for wire in candidates if f"{wire}.0/24" not in subnets)

    @property
    def wire6(self) -> str:
        """The start of the network's IPv6 addresses."""
        return f"fd51:3a:{self.wire.rpartition('.')[2]}:1::"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the compose file."""
        return {
            "WIRE": self.wire,
            "WIRE6": self.wire6,
            "NODES": str(self.directory),
            "TEST_IMAGE": images.TEST,
        }

    def up(self) -> None:
        """Start the world, or do nothing where it runs."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._compose("up", "--detach", "--wait")
        self.prepare()

    def prepare(self) -> None:
        """Let the hosts use a gateway of their own, one that can fail."""
        places = {host.container for host in (*self.hosts, self.gateway)}
        for container in (*places, self._container("machine")):
            SHELLS[container] = Shell(container)
        for host in self.hosts:
            host.run("ip", "route", "replace", "default", "via", self.address(254))
            host.run("ip", "-6", "route", "replace", "default", "via", self.address6(254))

    def leave(self) -> None:
        """Let go of the world; it runs on."""
        self._close_shells()
        self.docker.close()

    def clear(self) -> None:
        """Remove the nodes, what happened to their hosts, and addresses that are not the hosts'."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Node.down, self._nodes()))
        for host in (*self.hosts, self.gateway):
            host.heal()
            for address in host.lifetimes().keys() - {host.address, host.address6}:
                host.run("ip", "address", "flush", "dev", "eth0", "to", address)

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Do `clear` at the end of a `with` block, however it ends."""
        try:
            yield
        finally:
            self.clear()

    def down(self) -> None:
        """End the world and the nodes in it; fine where there is none."""
        for node in self._nodes():
            node.down()
        self._close_shells()
        self._compose("down", "--volumes", "--timeout", "0")
        if self.directory.exists():
            self.directory.rmdir()
        self.docker.close()

    def address(self, number: int) -> str:
        """Return an IPv4 address on the wire."""
        return f"{self.wire}.{number}"

    def address6(self, number: int) -> str:
        """Return an IPv6 address on the wire."""
        return f"{self.wire6}{number}"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The places for nodes."""
        return tuple(
            Host(
                name=name,
                container=self._container(name),
                machine=self._container("machine"),
                address=self.address(number),
                address6=self.address6(number),
            )
            for number, name in enumerate(HOSTS, start=11)
        )

    @property
    def gateway(self) -> Host:
        """The hosts' default gateway."""
        return replace(
            self.hosts[0],
            name="gateway",
            container=self._container("gateway"),
            address=self.address(254),
            address6=self.address6(254),
        )

    @property
    def client(self) -> Client:
        """Who uses the virtual address."""
        return Client(container=self._container("client"))

    @property
    def upstream(self) -> str:
        """Where the sites proxy to."""
        return f"http://{self.address(80)}:8080"

    def node(self, host: str) -> Node:
        """Return the node on a host, be it there or not."""
        return next(node for node in self._nodes() if node.host.name == host)

    def cluster(self, plan: Plan) -> Cluster:
        """Write the directories of a cluster; nothing runs yet."""
        nodes = tuple(self._nodes()[: plan.count])
        vips = plan.vips or (self.address(200),)
        addresses = [node.host.address6 if plan.ipv6 else node.host.address for node in nodes]
        common = {
            "HA_NODES": ",".join(addresses),
            "HA_VIP": ",".join(vips),
            "HA_SECRET": SECRET,
            "HA_SITES": f"site.test={self.upstream}",
            **plan.environment,
        }
        for node in nodes:
            node.write(plan, {**common, **plan.own.get(node.host.name, {})})
        before = tuple(node.host.network() for node in nodes)
        return Cluster(nodes=nodes, vips=vips, before=before)

    def _nodes(self) -> list[Node]:
        return [
            Node(
                docker=self.docker,
                host=host,
                project=f"{self.project}-{host.name}",
                directory=self.directory / host.name,
            )
            for host in self.hosts
        ]

    def _close_shells(self) -> None:
        """End the shells before what they are in."""
        for container in [name for name in SHELLS if name.startswith(f"{self.project}-")]:
            SHELLS.pop(container).close()

    def _container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def _compose(self, *arguments: str) -> None:
        subprocess.run(
            [
                *("docker", "compose", "--project-name", self.project),
                *("--file", str(COMPOSE_FILE)),
                *arguments,
            ],
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
        )
