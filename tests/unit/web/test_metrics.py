from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.report import CheckReport, NginxReport, Report, Role, VrrpCounters
from sidecar.web.exporter_metrics import VRRP_COUNTERS
from sidecar.web.metrics import COLLECTORS, ReportCollector, exposition, make_registry
from tests.unit.reports import EMPTY, FULL

GOLDEN = Path(__file__).parent


def scrape(report: Report) -> str:
    return exposition(make_registry(lambda: report)).decode()


def without_python(text: str) -> str:
    """Leave out what depends on this very process."""
    return "".join(line for line in text.splitlines(keepends=True) if "process_" not in line)


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


@pytest.mark.parametrize(("name", "report"), [("full", FULL), ("empty", EMPTY)])
def test_the_metrics_of_a_report_are_as_recorded(name: str, report: Report) -> None:
    names = "ha_process_up", "ha_process_restarts"
    lines = scrape(report).splitlines()
    kept = [line for line in lines if "process_" not in line or any(word in line for word in names)]
    assert "\n".join(kept) + "\n" == (GOLDEN / f"{name}.prom").read_text()
