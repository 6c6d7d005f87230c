"""The commands of docs/migration.md, run as they stand there."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.bench.handwritten import NGINX, keepalived_conf
from tests.cluster.by_hand import ByHand
from tests.cluster.client import Client
from tests.cluster.cluster import Cluster
from tests.cluster.node import REPOSITORY, Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e.conftest import Stage

PAGE: Final = (REPOSITORY / "docs/migration.md").read_text()

# Programs of the host that this machine must not run: they do the same to its stand-in.
FAKES: Final = {
    "systemctl": 'docker stop --time 5 "$BY_HAND" >/dev/null\n',
    "crontab": 'if [ "$1" = -l ]; then cat "$CRONTAB"; else cat >"$CRONTAB.new"; fi\n',
}


def blocks(section: str) -> list[str]:
    """Return the commands of a section, block by block."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found, section
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory on a host, where a person types."""

    node: Node
    by_hand: ByHand
    fakes: Path

    def type(self, commands: str, *, codes: Sequence[int] = (0,)) -> str:
        """Run commands in a shell, on the host's own /etc; return what they print."""
        commands = commands.replace("/etc/", f"{self.by_hand.etc}/")
        done = subprocess.run(
            [
                "sh",
                "-euc",
                commands.replace(f"web:{self.by_hand.etc}", f"{self.by_hand.name}:/etc"),
            ],
            cwd=self.node.directory,
            env={
                **os.environ,
                "PATH": f"{self.fakes}:{os.environ['PATH']}",
                "COMPOSE_PROJECT_NAME": self.node.name.removesuffix("-sidecar-1"),
                "BY_HAND": self.by_hand.name,
                "CRONTAB": str(self.by_hand.etc / "crontab"),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in codes, (commands, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def places(stage: Stage, world: World, tmp_path: Path) -> Iterator[list[Place]]:
    """Two hosts with nginx by hand, each with a new directory for kiss-ha; nothing runs yet."""
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name, script in FAKES.items():
        (fakes / name).write_text(f"#!/bin/sh\n{script}")
        (fakes / name).chmod(0o755)
    stage.clear()
    found = []
    for host in world.hosts[:2]:
        etc = tmp_path / host.name / "etc"
        (etc / "nginx").mkdir(parents=True)
        nginx = NGINX.format(upstream=world.upstream.removeprefix("http://"))
        (etc / "nginx/nginx.conf").write_text(nginx)
        by_hand = ByHand(name=f"{world.project}-{host.name}-by-hand", host=host, etc=etc)
        node = world.node(host.name)
        node.write(Plan(), {})
        (node.directory / "nginx").rmdir()
        (node.directory / ".env").unlink()
        found.append(Place(node=node, by_hand=by_hand, fakes=fakes))
    yield found
    for place in found:
        place.by_hand.remove()
    stage.clear()


def taken_port_only(said: str) -> None:
    """What `check` says while the old nginx runs."""
    assert set(re.findall(r"^(?:error|warning): (.*)", said, re.MULTILINE)) <= {
        "nginx.conf does not include /run/ha/nginx/*.conf: there are no nginx metrics",
        "another program on this host uses 0.0.0.0:80, which nginx needs",
        "another program on this host uses [::]:80, which nginx needs",
    }, said


def test_a_pair_by_hand_becomes_one_of_kiss_ha_while_it_serves(
    places: list[Place], world: World, client: Client
) -> None:
    prepare, check, on_backup, on_master = blocks("From keepalived, rsync and cron")
    master, backup = places
    vip, job = world.address(200), "* * * * * rsync -a --delete /etc/nginx/ b:/etc/nginx/\n"
    addresses = [place.node.address for place in places]
    for place, peer, state, priority in (
        (master, addresses[1], "MASTER", 150),
        (backup, addresses[0], "BACKUP", 100),
    ):
        conf = keepalived_conf(
            own=place.node.address, peer=peer, vip=f"{vip}/24", state=state, priority=priority
        )
        (place.by_hand.etc / "keepalived").mkdir()
        (place.by_hand.etc / "keepalived/keepalived.conf").write_text(conf)
        (place.by_hand.etc / "crontab").write_text(job)
        place.by_hand.start()
    until("the MASTER holds the VIP", lambda: master.node.host.holds(vip))

    master.type(prepare)
    environment = (master.node.directory / ".env").read_text()
    assert f"HA_NODES={','.join(addresses)}\nHA_VIP={vip}/24\n" in environment
    taken_port_only(master.type(check, codes=(0, 78)))
    for name in (".env", "nginx"):
        source = str(master.node.directory / name)
        subprocess.run(["cp", "-a", source, backup.node.directory], check=True)

    with client.load(vip, rate=100) as load:
        load.wait_for(addresses[0])
        backup.type(on_backup)
        master.type(on_master)
        load.wait_for(addresses[1])
        cluster = Cluster(nodes=(master.node, backup.node), vips=(vip,), before=())
        until(
            "both are well", lambda: not any(node.problems() for node in cluster.nodes), within=30
        )
    assert load.served.gap < 2, load.served
    # Those that were under way at the moment of the move.
    assert len(load.served.failures) <= 10, load.served
    assert (master.by_hand.etc / "crontab.new").read_text() == f"#{job}"


def test_a_container_becomes_a_node(places: list[Place]) -> None:
    prepare, check, replace = blocks("From nginx in a container")
    place = places[0]
    place.by_hand.start()
    place.type(prepare)
    assert (place.node.directory / "nginx/nginx.conf").read_text() == (
        place.by_hand.etc / "nginx/nginx.conf"
    ).read_text()
    taken_port_only(place.type(check, codes=(0, 78)))
    assert replace == "docker rm --force web\ndocker compose up -d\n"


def test_a_nginx_on_the_host_becomes_a_node(places: list[Place]) -> None:
    prepare, check, replace = blocks("From nginx on the host")
    place = places[0]
    etc = place.by_hand.etc / "nginx"
    (etc / "modules-enabled").mkdir()
    (etc / "modules-enabled/50-mod.conf").symlink_to("/usr/share/nginx/modules-available/none.conf")
    (etc / "sites-enabled").mkdir()
    (etc / "sites-enabled/default").symlink_to(etc / "sites-available/default")
    listed = place.type(prepare)
    assert "50-mod.conf" in listed
    assert "sites-enabled" not in listed
    assert (place.node.directory / "nginx/modules-enabled/50-mod.conf").is_symlink()
    taken_port_only(place.type(check))
    assert replace == "systemctl disable --now nginx\ndocker compose up -d\n"
