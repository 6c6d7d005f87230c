"""Building blocks: Prometheus metric families from plain values."""

from collections.abc import Mapping
from typing import Final

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)

ONE: Final[tuple[str, ...]] = ()
"""The label values of a metric without labels."""


def gauge[L: tuple[str, ...]](
    name: str, text: str, labels: str, samples: Mapping[L, float]
) -> Metric:
    """Return a gauge; `labels` are its label names, separated by blanks.

    `samples` are values by label values: a mapping, since Prometheus refuses a series given twice.
    """
    return _filled(GaugeMetricFamily(name, text, labels=labels.split()), samples)


def counter[L: tuple[str, ...]](
    name: str, text: str, labels: str, samples: Mapping[L, float]
) -> Metric:
    """Return a counter, whose name gets `_total`; otherwise as `gauge`."""
    return _filled(CounterMetricFamily(name, text, labels=labels.split()), samples)


def untyped(name: str, text: str, value: float) -> Metric:
    """Return a metric without type and labels, whose name stays as it is."""
    return _filled(UnknownMetricFamily(name, text, labels=()), {ONE: value})


def histogram(name: str, text: str, buckets: Mapping[str, float], total: float) -> Metric:
    """Return a histogram without labels from cumulative counts by upper bound, and their sum."""
    family = HistogramMetricFamily(name, text, labels=())
    if buckets:
        family.add_metric(ONE, buckets=list(buckets.items()), sum_value=total)
    return family


def _filled[L: tuple[str, ...]](
    family: GaugeMetricFamily | CounterMetricFamily | UnknownMetricFamily,
    samples: Mapping[L, float],
) -> Metric:
    for labels, value in samples.items():
        # A file's name may hold bytes that are no UTF-8, and one such label would fail the scrape.
        family.add_metric([label.encode(errors="replace").decode() for label in labels], value)
    return family
