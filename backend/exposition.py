"""Writes figures as Prometheus reads them, with Prometheus' own client library: an optional package.

The library's registry is not used: an app's own metrics are the app's, and ours are not of this process alone.
Imports the library when it is first asked. If this is wrong, Prometheus stores nothing, or the wrong thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, groupby
from typing import Any

from .board import Series
from .metric_names import BY_NAME, Metric


class _Figures:
    """A collector, as the library wants one."""

    def __init__(self, series: list[Series]) -> None:
        self._series = sorted(series, key=lambda each: (each.metric, each.labels))

    def collect(self) -> Iterator[Any]:
        for name, of_metric in groupby(self._series, key=lambda each: each.metric):
            yield _family(BY_NAME[name], list(of_metric))


def written(series: list[Series], accept: str) -> tuple[bytes, str]:
    """Return a page for a scraper, and its content type.

    Args:
        series: the figures.
        accept: the scraper's Accept header: text, or OpenMetrics.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(series))
    return encode(registry), content_type


def _family(metric: Metric, series: list[Series]) -> Any:
    from prometheus_client import core

    kinds: dict[str, Any] = {
        "counter": core.CounterMetricFamily, "gauge": core.GaugeMetricFamily,
        "histogram": core.HistogramMetricFamily, "summary": core.SummaryMetricFamily,
    }  # fmt: skip
    family = kinds[metric.kind](metric.name, metric.help, labels=metric.labels)
    for each in series:
        labels = [_writable(label) for label in each.labels]
        if metric.kind == "histogram":
            family.add_metric(labels, buckets(metric, each.values), each.values[-1])
        else:
            family.add_metric(labels, *each.values)
    return family


def _writable(label: str) -> str:
    """Return a label without the half signs that Python knows and UTF-8 does not: one would end the whole page."""
    return label.encode("utf-8", "replace").decode("utf-8")


def buckets(metric: Metric, values: tuple[float, ...]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as Prometheus counts them: each holds those below it as well."""
    bounds = [*(str(bound) for bound in metric.bounds), "+Inf"]
    return list(zip(bounds, accumulate(values[:-1]), strict=True))
