"""The `ha_*` metrics: pure functions from a report to metric families."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from sidecar.core.report import Report, Role, ServiceState
from sidecar.core.sync_report import RESULTS
from sidecar.web.families import ONE, counter, gauge, histogram


def node(report: Report) -> Iterator[Metric]:
    """Yield what this node is: version, eligibility, addresses, roles."""
    held = {(vip.address,): vip.held for vip in report.vips}
    changes = {(role.value,): report.role_changes.get(role, 0) for role in Role}
    yield gauge("ha_build_info", "Version that runs here", "version", {(report.node.version,): 1})
    yield gauge("ha_eligible", "This node could serve", "", {ONE: report.node.eligible})
    yield gauge("ha_vip_held", "The virtual address is on this node's interface", "vip", held)
    yield counter("ha_role_changes", "Changes to each VRRP role since the start", "to", changes)
    yield gauge("ha_split_brain", "More than one node is MASTER", "", {ONE: report.split_brain})


def checks(report: Report) -> Iterator[Metric]:
    """Yield the health checks that have an answer."""
    up = {(check.name,): check.up for check in report.checks if check.up is not None}
    yield gauge("ha_check_up", "The health check succeeds", "check", up)


def processes(report: Report) -> Iterator[Metric]:
    """Yield the supervised programs."""
    up = {(item.name,): item.state is ServiceState.RUNNING for item in report.processes}
    restarts = {(item.name,): item.restarts for item in report.processes}
    yield gauge("ha_process_up", "The supervised program runs", "process", up)
    yield counter("ha_process_restarts", "Restarts of the supervised program", "process", restarts)


def peers(report: Report) -> Iterator[Metric]:
    """Yield the links to the other nodes."""
    up = {(peer.node,): peer.linked for peer in report.peers}
    skew = {(peer.node,): peer.clock_skew for peer in report.peers if peer.clock_skew is not None}
    yield gauge("ha_peer_up", "The link to the peer is alive", "peer", up)
    yield gauge("ha_peer_clock_skew_seconds", "Clock of the peer minus ours", "peer", skew)


def sync(report: Report) -> Iterator[Metric]:
    """Yield how the folders stand to those of the peers."""
    if (now := report.sync) is None:
        return
    same = {(peer.node,): peer.in_sync for peer in now.peers if peer.in_sync is not None}
    runs = {
        (peer.node, result): peer.runs.get(result, 0) for peer in now.peers for result in RESULTS
    }
    success = {(peer.node,): peer.last_success for peer in now.peers if peer.last_success}
    held = {(hold.reason,): 1.0 for hold in now.holds}
    head = {(now.head,): 1.0} if now.head else {}
    duration = {ONE: now.last_duration} if now.last_duration else {}
    next_check = {ONE: now.next_check} if now.next_check else {}
    yield gauge("ha_in_sync", "The peer has the same snapshot", "peer", same)
    yield counter("ha_sync_runs", "Checks of the peer's snapshot by result", "peer result", runs)
    yield gauge(
        "ha_sync_last_success_timestamp_seconds",
        "Last successful check",
        "peer",
        success,
    )
    yield gauge("ha_sync_duration_seconds", "Duration of the last full check", "", duration)
    yield gauge("ha_sync_held", "A change waits for a person", "reason", held)
    yield counter(
        "ha_sync_conflicts", "Paths that were edited on two nodes at once", "", {ONE: now.conflicts}
    )
    unresolved = {ONE: now.overridden_count}
    yield gauge("ha_sync_conflicts_unresolved", "Conflicts in the list", "", unresolved)
    yield gauge("ha_snapshot_info", "Snapshot that is live here", "id", head)
    yield gauge("ha_schedule_next_timestamp_seconds", "Next full check", "", next_check)


def sites(report: Report) -> Iterator[Metric]:
    """Yield the sites of containers, and who serves them."""
    if (containers := report.containers) is None:
        return
    up: dict[tuple[str], bool] = {}
    replicas: dict[tuple[str, str], int] = {}
    for one in containers.sites:
        name = f"{one.host}{one.path.rstrip('/')}"
        if one.up is not None:
            up[name,] = one.up
        for node in (report.node.node, *(peer.node for peer in report.peers)):
            replicas[name, node] = one.replicas.get(node, {}).get("up", 0)
    yield gauge("ha_site_up", "Some container serves the site", "site", up)
    yield gauge("ha_site_replicas", "Containers that serve the site", "site node", replicas)


def problems(report: Report) -> Iterator[Metric]:
    """Yield what a person should know, and the crashes of our own parts."""
    present = {(problem.code, problem.severity.value): 1.0 for problem in report.problems}
    failures = {(part,): count for part, count in report.part_failures.items()}
    yield gauge(
        "ha_problem", "Problem that is present; `ha status` says more", "code severity", present
    )
    yield counter(
        "ha_part_failures", "Crashes of a part that serving does not need", "part", failures
    )


def loop(report: Report) -> Iterator[Metric]:
    """Yield how long turns of the event loop took."""
    text = "Time for which one turn of the event loop kept everything else waiting"
    yield histogram("ha_loop_lag_seconds", text, report.loop.turns, report.loop.seconds)


def machine(report: Report) -> Iterator[Metric]:
    """Yield what the host gives us: room on disks, and word of changes."""
    size = {(disk.path,): disk.size for disk in report.disks}
    free = {(disk.path,): disk.free for disk in report.disks}
    yield gauge("ha_disk_size_bytes", "Size of the disk of a directory", "path", size)
    yield gauge("ha_disk_free_bytes", "Room on the disk of a directory", "path", free)
    polled = {ONE: len(report.polled)}
    yield gauge("ha_polling", "Groups of paths that are looked at each second", "", polled)


def configuration(report: Report) -> Iterator[Metric]:
    """Yield the served configuration: validity, reloads, certificates."""
    nginx = report.nginx
    if not nginx.enabled:
        return
    reloads = {(result,): 0 for result in ("success", "failure")}
    reloads |= {(result,): count for result, count in nginx.reloads.items()}
    yield counter("ha_reloads", "Reloads of nginx by verified result", "result", reloads)
    if nginx.config_valid is not None:
        valid = {ONE: nginx.config_valid}
        yield gauge("ha_config_valid", "nginx accepts the configuration on disk", "", valid)
    found = nginx.certificates.items()
    begin = {(path,): validity.not_before for path, validity in found}
    end = {(path,): validity.not_after for path, validity in found}
    name, text = "ha_certificate_not_{}_timestamp_seconds", "{} of the certificate's validity"
    yield gauge(name.format("before"), text.format("Begin"), "path", begin)
    yield gauge(name.format("after"), text.format("End"), "path", end)
