"""What has to serve well for a while before others get it, and what a person does meanwhile."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.wait import until
from tests.cluster.world import World
from tests.e2e import sites
from tests.e2e.fixtures import Start

SOAK: Final = 60.0
"""Seconds; longer than all of a test's commands."""

OWN: Final = "conf.d/tried.conf"


@pytest.fixture
def slowly(start: Start, world: World) -> Cluster:
    """A pair whose changes have to serve well for long."""
    pair = start(sites.plan(world))
    pair.wait_well(within=30)
    pair.wait_in_sync()
    for node in pair.nodes:
        node.configure("HA_SYNC_SOAK", f"{SOAK:g}s")
    pair.wait_well(within=30)
    return pair


def test_no_command_waits_for_a_trial_and_a_rollback_ends_it(slowly: Cluster) -> None:
    good = str(slowly.a.sync()["head"])
    slowly.a.folder.write(OWN, sites.site("tried.test", "bad"))
    sites.wait_served("tried.test", "bad", slowly.a)
    assert "serve well" in slowly.a.ha("sync").stdout
    assert "would accept" in slowly.a.ha("sync", "--dry-run").stdout
    assert slowly.a.ha("sync", "release", check=False).returncode == 1
    slowly.a.folder.write(OWN, sites.site("tried.test", "worse"))
    sites.wait_served("tried.test", "worse", slowly.a)
    assert slowly.a.sync()["draft"]
    slowly.a.ha("rollback", good[:12])
    until(
        "neither is served any more",
        lambda: slowly.a.fetch("tried.test"),
        lambda said: said not in {"bad", "worse"},
    )
    slowly.wait_in_sync()
    assert not slowly.b.folder.has(OWN)
    newest = slowly.a.ha("history").stdout.splitlines()[1:3]
    assert "rollback" in newest[0]
    assert "before: rollback" in newest[1]
    until("nothing is left of it", lambda: slowly.a.sync()["draft"], lambda draft: not draft)
