"""The `ha_*` metrics: pure functions from a report to metric families."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from sidecar.core.report import Report, Role, ServiceState
from sidecar.web.families import ONE, counter, gauge


def node(report: Report) -> Iterator[Metric]:
    """Yield what this node is: version, eligibility, addresses, roles."""
    held = {(vip.address,): vip.held for vip in report.vips}
    changes = {(role.value,): report.role_changes.get(role, 0) for role in Role}
    yield gauge("ha_build_info", "Version that runs here", "version", {(report.node.version,): 1})
    yield gauge("ha_eligible", "This node could serve", "", {ONE: report.node.eligible})
    yield gauge("ha_vip_held", "The virtual address is on the NIC of this node", "vip", held)
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
    yield gauge(
        "ha_certificate_not_after_timestamp_seconds",
        "End of the certificate's validity",
        "path",
        {(path,): end for path, end in nginx.certificates.items()},
    )
