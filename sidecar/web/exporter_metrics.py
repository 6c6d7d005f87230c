"""Metrics that people already have dashboards for, by the same names and labels.

`keepalived_*` are those of mehdy/keepalived-exporter in JSON mode, `nginx_*` those of
nginx-prometheus-exporter.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric

from sidecar.core.report import Report, Role, ServiceState
from sidecar.web.families import ONE, counter, gauge, untyped

NGINX_CHECK: Final = "nginx"
"""Name of the health check that asks nginx itself."""

_ROLE_NUMBERS: Final = {Role.INIT: 0, Role.BACKUP: 1, Role.MASTER: 2, Role.FAULT: 3}

VRRP_COUNTERS: Final[Mapping[str, tuple[str, str]]] = {
    "advert_received": ("advertisements_received", "Advertisements received"),
    "advert_sent": ("advertisements_sent", "Advertisements sent"),
    "become_master": ("become_master", "Became master"),
    "release_master": ("release_master", "Released master"),
    "packet_length_errors": ("packet_length_errors", "Packet length errors"),
    "advert_interval_errors": (
        "advertisements_interval_errors",
        "Advertisement interval errors",
    ),
    "ip_ttl_errors": ("ip_ttl_errors", "TTL errors"),
    "invalid_type_received": ("invalid_type_received", "Invalid type errors"),
    "address_list_errors": ("address_list_errors", "Address list errors"),
    "authentication_invalid": ("authentication_invalid", "Authentication invalid"),
    "authentication_type_mismatch": ("authentication_mismatch", "Authentication mismatch"),
    "authentication_failure": ("authentication_failure", "Authentication failure"),
    "priority_zero_received": ("priority_zero_received", "Priority zero received"),
    "priority_zero_sent": ("priority_zero_sent", "Priority zero sent"),
}
"""Field of VrrpCounters → the exporter's name (without prefix and `_total`) and help."""

_CONNECTIONS: Final[Mapping[str, str]] = {
    "active": "Active client connections",
    "reading": "Connections where NGINX is reading the request header",
    "writing": "Connections where NGINX is writing the response back to the client",
    "waiting": "Idle client connections",
}


def nginx(report: Report) -> Iterator[Metric]:
    """Yield what nginx-prometheus-exporter shows of stub_status."""
    if not report.nginx.enabled:
        return
    yield gauge("nginx_up", "Status of the last metric scrape", "", {ONE: _nginx_up(report)})
    status = report.nginx.stub_status
    if status is None:
        return
    for name, value in (
        ("active", status.active),
        ("reading", status.reading),
        ("writing", status.writing),
        ("waiting", status.waiting),
    ):
        yield gauge(f"nginx_connections_{name}", _CONNECTIONS[name], "", {ONE: value})
    # Counters, but as such the library would append `_total` to the names that dashboards know.
    yield untyped("nginx_connections_accepted", "Accepted client connections", status.accepted)
    yield untyped("nginx_connections_handled", "Handled client connections", status.handled)
    yield counter("nginx_http_requests", "Total http requests", "", {ONE: status.requests})


def _nginx_up(report: Report) -> bool:
    """Tell whether nginx answers: without our status server only the health check knows."""
    for check in report.checks:
        if check.name == NGINX_CHECK and check.up is not None:
            return check.up
    return report.nginx.stub_status is not None


def keepalived(report: Report) -> Iterator[Metric]:
    """Yield what keepalived-exporter shows of the JSON dump."""
    vrrp = report.vrrp if _keepalived_runs(report) else None
    yield gauge("keepalived_up", "Status", "", {ONE: vrrp is not None})
    if vrrp is None:
        return
    labels = (vrrp.instance, vrrp.interface, str(vrrp.vrid))
    for field, (name, text) in VRRP_COUNTERS.items():
        value = getattr(vrrp.counters, field)
        yield counter(f"keepalived_{name}", text, "iname intf vrid", {labels: value})
    if vrrp.garp_delay is not None:  # a counter only by its name
        text = "Gratuitous ARP delay"
        delay = {labels: vrrp.garp_delay}
        yield counter("keepalived_gratuitous_arp_delay", text, "iname intf vrid", delay)
    with_address = "iname intf vrid ip_address"
    number = _ROLE_NUMBERS[vrrp.role]
    states = {(*labels, address): number for address in vrrp.vips or ("",)}
    excluded = {(*labels, address): number for address in vrrp.excluded_vips}
    yield gauge("keepalived_vrrp_state", "State of vrrp", with_address, states)
    text = "State of vrrp with excluded VIP"
    yield gauge("keepalived_vrrp_excluded_state", text, with_address, excluded)
    served = {(*labels, address): _nginx_up(report) for address in vrrp.vips}
    if report.nginx.enabled:
        text = "Check Script status for each VIP"
        yield gauge("keepalived_exporter_check_script_status", text, with_address, served)
    yield from _scripts(report)


def _scripts(report: Report) -> Iterator[Metric]:
    """Yield the health checks as scripts: elsewhere keepalived runs them, here the daemon does."""
    status = {(check.name,): check.up for check in report.checks if check.up is not None}
    idle = dict.fromkeys(status, 0)
    yield gauge("keepalived_script_status", "Tracker Script Status", "name", status)
    yield gauge("keepalived_script_state", "Tracker Script State", "name", idle)


def _keepalived_runs(report: Report) -> bool:
    """Tell whether the dump is still true: it is some seconds old."""
    states = [process.state for process in report.processes if process.name == "keepalived"]
    return all(state is ServiceState.RUNNING for state in states)
