"""A disk that is full takes nothing away: what was served is served, and the disk is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node, Plan
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Have

STATE: Final = "/var/lib/ha"
FOLDER: Final = "/etc/nginx"
OWN: Final = "conf.d/own.conf"
FILLER: Final = "filler.tmp"
"""A name that sync leaves alone."""


def small(target: str, size: int) -> dict[str, object]:
    """Return a volume of `size` MiB, in place of the one of docker-compose.yml."""
    return {"type": "tmpfs", "target": target, "tmpfs": {"size": size * 1024 * 1024}}


@pytest.fixture
def tight(world: World, have: Have) -> Cluster:
    """Two nodes with small disks, both serving the old site."""
    volumes = [small(STATE, 8), small(FOLDER, 4)]
    environment = sites.plan(world).environment
    pair = have(Plan(environment=environment, service={"volumes": volumes}))
    pair.a.inside.write(OWN, sites.site("own.test", "old"))
    sites.wait_served("own.test", "old", *pair.nodes)
    pair.wait_in_sync()
    return pair


@contextmanager
def full(node: Node, directory: str) -> Iterator[None]:
    """Fill the file system of a directory to the last byte."""
    filler = f"{directory}/{FILLER}"
    node.inside.sh('cat /dev/zero >"$1" 2>/dev/null || true', filler)
    try:
        yield
    finally:
        node.inside.remove(filler)


@pytest.mark.parametrize("directory", [STATE, FOLDER])
def test_a_full_disk_here_keeps_a_peers_change_out(tight: Cluster, directory: str) -> None:
    before = tight.b.tree()
    with full(tight.b, directory):
        tight.a.inside.write(OWN, sites.site("own.test", "new"))
        sites.wait_served("own.test", "new", tight.a)
        sites.wait_reason(tight.b, "space left", "make room")
        sites.always_serves(tight.b, "own.test", "old", during=2)
        until(  # what is tried again may lie there for a moment
            "nothing is changed",
            lambda: {path: item for path, item in tight.b.tree().items() if path != FILLER},
            before.__eq__,
        )
    sites.wait_served("own.test", "new", tight.b, within=30)
    tight.wait_in_sync(within=30)


def test_a_full_disk_of_the_state_keeps_a_change_here(tight: Cluster) -> None:
    before = tight.b.tree()
    with full(tight.a, STATE):
        tight.a.inside.write(OWN, sites.site("own.test", "new"))
        sites.wait_reason(tight.a, "space left", "make room")
        sites.always_serves(tight.b, "own.test", "old", during=2)
        sites.wait_tree(tight.b, before)
    sites.wait_served("own.test", "new", *tight.nodes, within=30)
    tight.wait_in_sync(within=30)
