import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.report import (
    CheckReport,
    NginxReport,
    ProcessReport,
    Report,
    Role,
    ServiceState,
    Validity,
    VrrpCounters,
)
from sidecar.web.exporter_metrics import VRRP_COUNTERS
from sidecar.web.metrics import COLLECTORS, ReportCollector, exposition, make_registry
from tests.unit.reports import EMPTY, FULL

OF_PYTHON = re.compile(r"(# \w+ )?process_")


def scrape(report: Report) -> str:
    return exposition(make_registry(lambda: report)).decode()


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.mark.parametrize(("name", "report"), [("full", FULL), ("empty", EMPTY)])
def test_the_metrics_of_a_report_are_as_recorded(name: str, report: Report) -> None:
    lines = scrape(report).splitlines(keepends=True)
    recorded = Path(__file__).with_name(f"{name}.prom").read_text()
    assert "".join(line for line in lines if not OF_PYTHON.match(line)) == recorded


def test_our_own_process_is_measured() -> None:
    assert value(scrape(EMPTY), "process_resident_memory_bytes")


def test_every_counter_of_keepalived_has_a_metric() -> None:
    assert set(VRRP_COUNTERS) == {field.name for field in fields(VrrpCounters)}


def test_no_series_comes_twice() -> None:
    samples = [line.rpartition(" ")[0] for line in scrape(FULL).splitlines() if line[0] != "#"]
    assert len(samples) == len(set(samples))


@pytest.mark.parametrize(
    ("role", "number"), [(Role.INIT, 0), (Role.BACKUP, 1), (Role.MASTER, 2), (Role.FAULT, 3)]
)
def test_roles_have_the_numbers_of_keepalived(role: Role, number: int) -> None:
    assert FULL.vrrp is not None
    text = scrape(replace(FULL, vrrp=replace(FULL.vrrp, role=role, vips=())))
    labels = {"iname": "VI_1", "intf": "eth0", "vrid": "10", "ip_address": ""}
    assert value(text, "keepalived_vrrp_state", **labels) == number


@pytest.mark.parametrize(("up", "number"), [(True, 1), (False, 0), (None, 0)])
def test_without_our_status_server_the_check_says_whether_nginx_is_up(
    up: bool | None, number: int
) -> None:
    check = CheckReport(name="nginx", up=up, hard=True)
    text = scrape(replace(EMPTY, nginx=NginxReport(enabled=True), checks=(check,)))
    assert value(text, "nginx_up") == number
    assert value(text, "nginx_http_requests_total") is None


def test_keepalived_is_down_as_soon_as_its_process_is() -> None:
    process = ProcessReport(name="keepalived", state=ServiceState.BACKOFF)
    text = scrape(replace(FULL, processes=(process,)))
    assert value(text, "keepalived_up") == 0
    assert "keepalived_vrrp_state" not in text


def test_a_path_that_is_no_utf8_does_not_fail_the_scrape() -> None:
    nginx = NginxReport(
        enabled=True,
        certificates={
            b"/etc/\xff.pem".decode(errors="surrogateescape"): Validity(not_before=0, not_after=1)
        },
    )
    text = scrape(replace(EMPTY, nginx=nginx))
    assert value(text, "ha_certificate_not_after_timestamp_seconds", path="/etc/?.pem") == 1


def test_a_group_that_fails_is_left_out_and_told() -> None:
    broken = True

    def fragile(_report: Report) -> list[Metric]:
        if broken:
            raise ValueError("boom")
        return []

    registry = CollectorRegistry()
    registry.register(ReportCollector(lambda: FULL, {**COLLECTORS, "nginx": fragile}))
    text = exposition(registry).decode()
    assert value(text, "ha_collector_up", collector="nginx") == 0
    assert value(text, "ha_collector_up", collector="node") == 1
    assert value(text, "ha_eligible") == 1
    assert value(text, "nginx_up") is None
    broken = False
    text = exposition(registry).decode()
    assert value(text, "ha_collector_up", collector="nginx") == 1


def test_a_report_that_fails_is_told_too() -> None:
    def report() -> Report:
        raise RuntimeError("no report")

    text = exposition(make_registry(report)).decode()
    assert {
        name: value(text, "ha_collector_up", collector=name) for name in COLLECTORS
    } == dict.fromkeys(COLLECTORS, 0)
