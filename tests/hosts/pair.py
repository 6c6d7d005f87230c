"""Two machines with the sidecar, set up by the README's quick start."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.cluster.client import Load
from tests.cluster.wait import until
from tests.hosts.lan import Lan
from tests.hosts.machine import Machine
from tests.hosts.readme import QuickStart

VIP: Final = "192.168.1.10"
ADDRESSES: Final = {"a": "192.168.1.11", "b": "192.168.1.12"}
SITE: Final = "app.example.com"
"""The site of the quick start's last step; its upstream says which node asked."""

DIRECTORY: Final = "/root/kiss-ha"

_SOCKET: Final = """
services:
  sidecar:
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
"""
_APPLICATION: Final = (Path(__file__).parents[1] / "cluster/app.py").read_text()


class Pair:
    """The machines `a` and `b` on one network; both are on, and nothing is set up."""

    def __init__(self, lan: Lan, a: Machine, b: Machine) -> None:
        self.lan = lan
        self.a = a
        self.b = b

    @property
    def both(self) -> tuple[Machine, Machine]:
        """The first node of HA_NODES, and the second one."""
        return self.a, self.b

    # What a person does

    def set_up(self, guide: QuickStart) -> None:
        """Do steps 1 to 3 of the quick start; the image is on the first machine already."""
        build, _, give = guide.image.partition("\n")
        assert build == "make image"
        self.a.run(give, within=120)
        self.a.run(f"mkdir {DIRECTORY}")
        self.a.run(f"cat >{DIRECTORY}/docker-compose.yml", text=guide.compose)
        self.run(self.a, guide.environment)
        self.a.run(f"scp -r {DIRECTORY} {self.b.address}:")
        for machine in self.both:
            self.run(machine, guide.start)

    def add_site(self, guide: QuickStart) -> None:
        """Do step 5, and wait until both nodes serve it, and no earlier worker of nginx does."""
        self.run(self.a, guide.site)
        ask = f"curl --silent --fail --max-time 2 --header 'Host: {SITE}' http://127.0.0.1/"
        for machine in self.both:
            until(
                f"{machine} serves the site",
                partial(machine.run, ask),
                lambda answer: machine.address in answer,  # noqa: B023 # called at once
                within=20,
            )
        until(
            "both have it as their snapshot",
            lambda: {self.status(machine)["sync"]["head"] for machine in self.both},
            lambda heads: len(heads) == 1 and None not in heads,
            within=20,
        )

    def run(self, machine: Machine, script: str, *, within: float = 60) -> str:
        """Run lines of a shell in the directory of the compose file."""
        return machine.run(f"cd {DIRECTORY}\n{script}", within=within)

    def type(self, machine: Machine, script: str) -> str:
        """Do the same as `run` at a terminal."""
        return self.run(machine, f"script --quiet --return --command '{script}' /dev/null")

    def compose(self, machine: Machine, command: str) -> str:
        """Run `docker compose …`."""
        return self.run(machine, f"docker compose {command}")

    def ha(self, machine: Machine, command: str) -> str:
        """Run `docker compose exec sidecar ha …`."""
        return self.compose(machine, f"exec -T sidecar ha {command}")

    def load(self, site: str = SITE) -> Load:
        """Return a client of a site on the VIP that begins a request every 7 ms."""
        return self.lan.load(VIP, site, rate=1000 / 7)

    @contextmanager
    def with_containers(self) -> Iterator[None]:
        """Set HA_CONTAINERS=on for a while; then nothing is left of it."""
        on = "cp .env before; echo HA_CONTAINERS=on >>.env; cat >docker-compose.override.yml"
        off = (
            "mv before .env; rm docker-compose.override.yml; "
            "docker rm --force $(docker ps --all --quiet --filter name=app-)"
        )
        for machine in self.both:
            machine.run(f"cd {DIRECTORY}; {on}", text=_SOCKET)
            machine.run("cat >app.py", text=_APPLICATION)
            self.compose(machine, "up --detach")
        try:
            yield
        finally:
            for machine in self.both:
                self.run(machine, off)
                self.compose(machine, "up --detach")

    def application(self, machine: Machine, name: str, host: str) -> None:
        """Start a container with a site."""
        machine.run(
            f"docker run --detach --name app-{name} --hostname {name} --env VIRTUAL_HOST={host} "
            "--restart unless-stopped --no-healthcheck --volume /root/app.py:/app.py:ro "
            "--entrypoint python3 kiss-ha:latest /app.py 80"
        )

    def wait_application(self, name: str, host: str) -> None:
        """Wait until both nodes serve a site by that container."""
        ask = f"curl --silent --fail --max-time 2 --header 'Host: {host}' http://127.0.0.1/"
        for machine in self.both:
            until(
                f"{machine} serves {host} by {name}",
                partial(machine.run, ask),
                lambda said: json.loads(said)["by"] == name,
                within=30,
            )

    # What can be seen

    def status(self, machine: Machine) -> dict[str, Any]:
        """Return what `ha status --json` prints."""
        report: dict[str, Any] = json.loads(
            machine.run("curl --silent --max-time 2 http://127.0.0.1:9165/api/v1/status")
        )
        return report

    def holders(self) -> list[Machine]:
        """Return the machines with the VIP on their interface."""
        return [machine for machine in self.both if VIP in machine.addresses()]

    @property
    def master(self) -> Machine:
        """The one machine that holds the VIP."""
        return until("one host holds the VIP", self.holders, lambda found: len(found) == 1)[0]

    def other(self, machine: Machine) -> Machine:
        """Return the one beside it."""
        return self.b if machine is self.a else self.a

    def wait_held_by(self, machine: Machine, *, within: float = 20) -> None:
        """Wait until a machine, and not the other one, holds the VIP."""
        until(f"{machine} holds the VIP", self.holders, lambda it: it == [machine], within=within)

    def wait_well(self, *, within: float = 60) -> None:
        """Wait until one holds the VIP, both are eligible and linked, and nobody has a problem."""
        for machine in self.both:
            report = partial(self.status, machine)
            until(f"all is well on {machine}", report, _is_well, within=within)
        until("one host holds the VIP", self.holders, lambda found: len(found) == 1)

    def heal(self) -> None:
        """Undo whatever happened to the machines, and wait until all is well."""
        with suppress(AssertionError):
            self.wait_well(within=1)
            return
        for machine in self.both:
            machine.heal()
        for machine in self.both:
            machine.wait_up()
            self.compose(machine, "up --detach")
        self.wait_well()

    def tell(self, machine: Machine) -> list[tuple[str, str]]:
        """Return what a machine says of itself, for a person; an error tells as much."""
        commands = {
            "addresses": "ip -oneline address show eth0",
            "containers": "docker ps --all",
            "status": f"cd {DIRECTORY}; docker compose exec -T sidecar ha status",
            "log": f"cd {DIRECTORY}; docker compose logs --tail 60",
            "engine": "journalctl --unit docker --lines 20 --no-pager",
        }
        told = []
        for name, command in commands.items():
            try:
                told.append((name, machine.run(f"{command} 2>&1", within=10, check=False)))
            except AssertionError as error:
                told.append((name, str(error)))
        return told

    def make_master(self, machine: Machine) -> None:
        """Give a machine the VIP."""
        if self.master is not machine:
            self.ha(self.master, "failover")
        self.wait_held_by(machine)
        self.wait_well()


def _is_well(status: dict[str, Any]) -> bool:
    peers = status["peers"]
    return (
        not status["problems"]
        and bool(status["node"]["eligible"])
        and status["node"]["role"] in {"MASTER", "BACKUP"}
        and all(peer["linked"] and peer["state"]["eligible"] for peer in peers)
    )
