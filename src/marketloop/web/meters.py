"""Figures of the web process for Prometheus: names with units, labels from closed lists only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from marketloop.runtime.clock import ticks

__all__ = ["CONTENT_TYPE", "Meters", "counter", "gauge"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True)
class Meters:
    """Counters of one web process, in a registry of their own.

    `requests` and `seconds` are labelled by method, route template (``/api/predict/{ticker}``, never a path that a
    caller made up) and class of status (``2xx``).

    Parameters
    ----------
    hold_s : float
        Seconds for which a written text is given again: writing it takes milliseconds of the one event loop.
    """

    hold_s: float = 1.0
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    refused: Counter = field(init=False)
    swaps: Counter = field(init=False)
    _written: list[tuple[float, bytes]] = field(default_factory=list, init=False, repr=False)
    _bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        # Nobody asks when a counter began.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        ProcessCollector(registry=self.registry)
        build = Info("marketloop_build", "The program that answers.", registry=self.registry)
        build.info({"version": metadata.version("marketloop")})
        made = {
            "requests": Counter(
                "marketloop_http_requests",
                "Requests answered.",
                ("method", "route", "status"),
                registry=self.registry,
            ),
            "seconds": Histogram(
                "marketloop_http_request_duration_seconds",
                "Time to answer.",
                ("method", "route"),
                buckets=BUCKETS,
                registry=self.registry,
            ),
            "refused": Counter(
                "marketloop_http_refused",
                "Requests refused at the door, by reason.",
                ("reason",),
                registry=self.registry,
            ),
            "swaps": Counter(
                "marketloop_scoreboard_swaps", "Times that newer scoreboards came.", registry=self.registry
            ),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; `method` and `route` come from closed lists, so that few pairs of series are ever bound."""
        key = (method, route, status // 100)
        bound = self._bound.get(key)
        if bound is None:
            bound = self.requests.labels(method, route, f"{key[2]}xx"), self.seconds.labels(method, route)
            self._bound[key] = bound
        bound[0].inc()
        bound[1].observe(seconds)

    def watch(self, collector: Collector) -> None:
        """Add figures that are computed when they are asked for."""
        self.registry.register(collector)

    def exposition(self) -> bytes:
        """Return all figures in Prometheus's text format, as they were at most `hold_s` ago."""
        if not self._written or not 0 <= ticks() - self._written[-1][0] < self.hold_s:
            self._written[:] = [(ticks(), generate_latest(self.registry))]
        return self._written[-1][1]


def gauge(name: str, text: str, labels: Iterable[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    """Return a gauge with its rows of label values and value."""
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, text: str, labels: Iterable[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    """Return a counter, whose samples end in ``_total``, with its rows of label values and value."""
    family = CounterMetricFamily(name, text, labels=list(labels))
    for values, value in rows:
        family.add_metric(values, value)
    return family
