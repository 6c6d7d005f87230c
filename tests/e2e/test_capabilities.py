"""Each capability of docker-compose.yml is needed, and its lack is named."""

import pytest

from tests.cluster.client import Client
from tests.cluster.node import CAPABILITIES, Node, Plan
from tests.cluster.wait import always, until
from tests.e2e.fixtures import Start


def claims(node: Node, vip: str) -> tuple[str, bool]:
    """Return a node's role, and whether its NIC has the VIP; a node that is down has no role."""
    try:
        role = node.role()
    except (AssertionError, ValueError):
        role = "down"
    return role, node.host.holds(vip)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_missing_capability_is_named_and_the_peer_serves(
    capability: str, start: Start, client: Client
) -> None:
    pair = start(Plan(without=capability))
    until("it is named", lambda: capability in pair.a.logs(), within=30)
    pair.b.wait_ready(within=30)
    always(
        "no MASTER is without the VIP for long",
        lambda: claims(pair.a, pair.vip),
        lambda seen: seen != ("MASTER", False),
        during=4,
    )
    with client.load(pair.vip) as load:
        load.wait_for([node.address for node in pair.nodes])
    pair.wait_settled()
