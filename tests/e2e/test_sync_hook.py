"""Without the bundled nginx a hook tells the user's service, and may refuse."""

from typing import Final

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.node import Plan
from tests.e2e import sites
from tests.e2e.fixtures import Have

HOOK: Final = "! cat /tmp/refuse >&2 && cp /etc/nginx/data.txt /tmp/told"
"""Fails if there is something to be told why."""


@pytest.fixture
def hooked(have: Have) -> Cluster:
    """Two nodes with a service of the user's."""
    environment = {"HA_NGINX": "off", "HA_SITES": "", "HA_SYNC_SOAK": "0s", "HA_HOOK_SYNC": HOOK}
    return have(Plan(environment=environment))


def test_a_hook_is_told_of_a_peers_change_and_may_refuse_it(hooked: Cluster) -> None:
    maker, taker = hooked.a, hooked.b
    maker.folder.write("data.txt", "first")
    before = hooked.wait_in_sync()
    assert taker.inside.sh("cat /tmp/told") == "first"
    taker.inside.sh("echo 'the service does not like it' >/tmp/refuse")
    maker.folder.write("data.txt", "second")
    sites.wait_reason(taker, "HA_HOOK_SYNC", "the service does not like it")
    assert taker.inside.tree() == before
    assert taker.inside.sh("cat /tmp/told") == "first"
    taker.inside.remove("/tmp/refuse")
    hooked.wait_in_sync(within=30)
    assert taker.inside.read("data.txt") == "second"
