"""What Prometheus sees."""

import subprocess
from collections.abc import Mapping
from functools import partial

from tests.cluster.cluster import Cluster
from tests.cluster.node import Node
from tests.cluster.wait import until
from tests.cluster.world import World

# Names and labels as existing dashboards have them.
KEEPALIVED = (
    "keepalived_up",
    "keepalived_vrrp_state",
    "keepalived_advertisements_received_total",
    "keepalived_advertisements_sent_total",
    "keepalived_become_master_total",
    "keepalived_release_master_total",
    "keepalived_packet_length_errors_total",
    "keepalived_advertisements_interval_errors_total",
    "keepalived_ip_ttl_errors_total",
    "keepalived_invalid_type_received_total",
    "keepalived_address_list_errors_total",
    "keepalived_authentication_invalid_total",
    "keepalived_authentication_mismatch_total",
    "keepalived_authentication_failure_total",
    "keepalived_priority_zero_received_total",
    "keepalived_priority_zero_sent_total",
)
NGINX = (
    "nginx_up",
    "nginx_connections_accepted",
    "nginx_connections_active",
    "nginx_connections_handled",
    "nginx_connections_reading",
    "nginx_connections_waiting",
    "nginx_connections_writing",
    "nginx_http_requests_total",
)
OURS = (
    "ha_build_info",
    "ha_vip_held",
    "ha_eligible",
    "ha_check_up",
    "ha_role_changes_total",
    "ha_process_up",
    "ha_process_restarts_total",
    "ha_reloads_total",
    "ha_config_valid",
    "ha_peer_up",
    "ha_peer_clock_skew_seconds",
    "ha_split_brain",
    "ha_collector_up",
)


def names(node: Node) -> set[str]:
    """Return the names of a node's samples."""
    return {sample.partition("{")[0] for sample in node.metrics()}


def vrrp_state(samples: Mapping[str, float]) -> str:
    """Return the only sample of keepalived's state, by its whole name."""
    (name,) = [name for name in samples if name.startswith("keepalived_vrrp_state{")]
    return name


def test_promtool_finds_nothing_on_either_node(pair: Cluster, world: World) -> None:
    for node in pair.nodes:
        checked = subprocess.run(
            [
                *("docker", "exec", "--interactive", world.client.container),
                *("promtool", "check", "metrics"),
            ],
            input=node.get("/metrics"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_both_nodes_export_every_metric_and_none_that_tells_when_it_was_created(
    pair: Cluster,
) -> None:
    for node in pair.nodes:
        until(
            f"{node} exports every metric",
            partial(names, node),
            {*KEEPALIVED, *NGINX, *OURS}.issubset,
        )
        assert not [name for name in names(node) if name.endswith("_created")]


def test_the_metrics_tell_who_holds_the_vip(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    held = f'ha_vip_held{{vip="{pair.vip}"}}'
    for node in pair.nodes:
        until("keepalived tells of itself", node.metrics, lambda found: found["keepalived_up"] == 1)
    assert (master.metrics()[held], backup.metrics()[held]) == (1, 0)
    for node, state in ((master, 2), (backup, 1)):
        samples = node.metrics()
        name = vrrp_state(samples)
        assert samples[name] == state
        assert f'ip_address="{pair.vip}"' in name
        assert 'intf="eth0"' in name
        assert 'iname="' in name
        assert f'vrid="{pair.vip.rpartition(".")[2]}"' in name


def test_the_metrics_tell_when_a_peer_is_gone(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    name = f'ha_peer_up{{peer="{backup.address}"}}'
    assert master.metrics()[name] == 1
    backup.kill()
    until("the peer is down", lambda: master.metrics()[name], lambda value: value == 0)


def test_the_metrics_count_a_failover_and_agree_on_it(pair: Cluster) -> None:
    master, backup = pair.master, pair.backup
    name = 'ha_role_changes_total{to="MASTER"}'
    samples = until("keepalived says it", backup.metrics, lambda found: found["keepalived_up"] == 1)
    before = samples[name]
    master.ha("failover")
    samples = until(
        "it is counted",
        backup.metrics,
        lambda found: found[name] == before + 1 and found["keepalived_up"] == 1,
    )
    assert samples[vrrp_state(samples)] == 2
