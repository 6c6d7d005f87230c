"""A real Prometheus and a real Alertmanager watch a pair."""

import json
from collections.abc import Iterator

from tests.cluster.cluster import Cluster
from tests.cluster.monitoring import Monitoring, delivered
from tests.cluster.node import REPOSITORY
from tests.cluster.receiver import Receiver
from tests.cluster.wait import until
from tests.cluster.world import World

NONE_WHEN_WELL = ("ha_part_failures", "ha_problem", "ha_sync_held", "ha_certificate")
DOWN = "KissHaNodeDown"


def dashboard() -> Iterator[str]:
    """Give the queries of the dashboard, with its variables filled in."""
    text = (REPOSITORY / "config/grafana/kiss-ha.json").read_text()
    variables = {"$job": ".*", "$instance": ".*", "$__rate_interval": "30s", "$__range": "5m"}
    for panel in json.loads(text)["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in variables.items():
                expression = expression.replace(name, value)
            yield expression


def test_an_alert_is_delivered_when_the_master_dies_and_resolved_when_it_is_back(
    synced: Cluster, world: World
) -> None:
    container = world.client.container
    targets = [f"{node.address}:9165" for node in synced.nodes]
    with Receiver(container) as receiver, Monitoring(container, targets) as monitoring:
        until("both are scraped", lambda: len(monitoring.query("up == 1")) == 2)
        until("nothing fires", lambda: not monitoring.firing())
        queries = [*dashboard()]
        # A pair that is well has no problems, holds and certificates.
        some = [one for one in queries if not any(name in one for name in NONE_WHEN_WELL)]
        until(
            "the dashboard is full",
            lambda: [one for one in some if not monitoring.query(one)],
            lambda empty: not empty,
            within=60,
        )
        master = synced.master
        dead = (DOWN, f"{master.address}:9165")
        master.kill()
        until("the alert fires", lambda: dead in monitoring.firing(), within=15)
        (alert,) = until("it is delivered", lambda: delivered(receiver, DOWN, "firing"), within=15)[
            :1
        ]
        assert alert["labels"] == {
            "alertname": DOWN,
            "instance": dead[1],
            "job": "kiss-ha",
            "severity": "critical",
        }
        assert alert["annotations"]["runbook"] == "docs/alerts.md#kisshanodedown"
        assert not {name for name, _ in monitoring.firing()} & {"KissHaNoHolder", "KissHaNoNode"}
        master.start()
        until("it no longer fires", lambda: dead not in monitoring.firing(), within=20)
        until("that is delivered", lambda: delivered(receiver, DOWN, "resolved"), within=15)
