"""`/metrics`: one registry, whose collectors never fail a scrape."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.core.report import Report
from sidecar.web import exporter_metrics, own_metrics
from sidecar.web.families import gauge

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

type MakeMetrics = Callable[[Report], Iterable[Metric]]

_PYTHON: Final = ProcessCollector(registry=None)

COLLECTORS: Final[Mapping[str, MakeMetrics]] = {
    "node": own_metrics.node,
    "checks": own_metrics.checks,
    "processes": own_metrics.processes,
    "peers": own_metrics.peers,
    "sync": own_metrics.sync,
    "sites": own_metrics.sites,
    "problems": own_metrics.problems,
    "loop": own_metrics.loop,
    "machine": own_metrics.machine,
    "configuration": own_metrics.configuration,
    "nginx": exporter_metrics.nginx,
    "keepalived": exporter_metrics.keepalived,
    "python": lambda _report: _PYTHON.collect(),
}
"""All groups of metrics; each may fail without the others."""


def _with_samples(make: MakeMetrics, report: Report) -> list[Metric]:
    return [metric for metric in make(report) if metric.samples]


class ReportCollector(Collector):
    """Turns a fresh report into metrics at every scrape.

    A group that fails is left out, logged when it begins to fail, and shown by `ha_collector_up`.
    """

    def __init__(
        self, report: Callable[[], Report], collectors: Mapping[str, MakeMetrics] = COLLECTORS
    ) -> None:
        self._report = report
        self._collectors = collectors
        self._failing: set[str] = set()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics that have a value, and last which groups could be made."""
        report = self._attempt("report", self._report)
        up = {}
        for name, make in self._collectors.items():
            metrics = None
            if report is not None:
                metrics = self._attempt(name, partial(_with_samples, make, report))
            yield from metrics or ()
            up[name,] = metrics is not None
        yield gauge("ha_collector_up", "The group of metrics could be collected", "collector", up)

    def _attempt[T](self, name: str, make: Callable[[], T]) -> T | None:
        try:
            made = make()
        except Exception:
            if name not in self._failing:
                log.exception("cannot collect the metrics of %s: they are left out", name)
            self._failing.add(name)
            return None
        if name in self._failing:
            self._failing.remove(name)
            log.info("the metrics of %s can be collected again", name)
        return made


def make_registry(report: Callable[[], Report]) -> CollectorRegistry:
    """Return the registry that `exposition` prints."""
    registry = CollectorRegistry()
    registry.register(ReportCollector(report))
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """Return all metrics in the text format of `CONTENT_TYPE`."""
    return generate_latest(registry)
