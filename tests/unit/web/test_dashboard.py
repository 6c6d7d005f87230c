"""The dashboard asks only for what the nodes export."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.web.metrics import make_registry
from tests.unit.reports import FULL

DASHBOARD = json.loads((Path(__file__).parents[3] / "config/grafana/kiss-ha.json").read_text())
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds, or that only buckets have."""
SELECTOR = re.compile(r"\b((?:ha|nginx|keepalived|process)_\w+)(?:\{([^}]*)\})?")


def panels() -> list[dict[str, object]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def targets() -> Iterator[tuple[str, str]]:
    """Give each query with its legend."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], target["legendFormat"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["expr"], annotation["titleFormat"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"], ""


def exported() -> dict[str, set[str]]:
    """Return the labels of every metric, by its name."""
    return {
        sample.name: set(sample.labels)
        for family in make_registry(lambda: FULL).collect()
        for sample in family.samples
    }


@pytest.mark.parametrize(("expression", "legend"), [*targets()])
def test_a_query_names_only_metrics_and_labels_that_are_exported(
    expression: str, legend: str
) -> None:
    known = exported()
    asked = SELECTOR.findall(expression)
    assert asked
    there = set(OF_PROMETHEUS)
    for name, labels in asked:
        assert name in known
        there |= known[name]
        assert set(re.findall(r"(\w+)\s*=~?", labels)) <= known[name] | OF_PROMETHEUS
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= there
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= there


def test_every_panel_follows_the_data_source_and_the_job() -> None:
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for expression, _ in targets():
        assert "$job" in expression or expression.startswith("label_values(ha_build_info, job")


def test_what_people_ask_first_is_shown() -> None:
    asked = {name for expression, _ in targets() for name, _ in SELECTOR.findall(expression)}
    assert asked >= {
        "keepalived_vrrp_state",
        "ha_vip_held",
        "ha_role_changes_total",
        "ha_sync_last_success_timestamp_seconds",
        "ha_in_sync",
        "nginx_http_requests_total",
        "nginx_connections_active",
        "ha_certificate_not_after_timestamp_seconds",
        "ha_process_restarts_total",
    }


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
