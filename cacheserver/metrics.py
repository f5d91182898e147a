"""What /metrics says. One registry per application; the cache's own counters are read at the scrape, not pushed."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from cacheserver.origin import Origin
from cacheserver.problems import Handler
from cacheserver.residency import Residency

_BUCKETS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)
"""From a hot page (0.1 ms) past the deadline of a miss (200 ms)."""
_UNMATCHED: Final = "unmatched"


class _State(Collector):
    """Reads the cache's counters and gauges when scraped."""

    def __init__(self, origin: Origin, residency: Residency, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._origin = origin
        self._residency = residency
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        reads = CounterMetricFamily("forefeed_feed_reads", "Feeds found, by how", labels=["cache"])
        for cache in ("hit", "stale", "miss", "fallback"):
            reads.add_metric([cache], self._origin.counts[cache])
        yield reads
        residency = self._residency
        yield CounterMetricFamily("forefeed_cache_evictions", "Feeds that left for space", value=residency.evictions)
        yield CounterMetricFamily("forefeed_cache_expiries", "Feeds that left for age", value=residency.expiries)
        yield GaugeMetricFamily("forefeed_cache_bytes", "Bytes of feeds in memory", value=residency.nbytes)
        yield GaugeMetricFamily("forefeed_cache_max_bytes", "Bound of that", value=residency.max_bytes)
        yield GaugeMetricFamily("forefeed_cache_feeds", "Viewers whose feed is in memory", value=len(residency))
        yield GaugeMetricFamily("forefeed_misses_waiting", "Readers waiting for a feed", value=self._origin.waiting)
        yield SummaryMetricFamily(
            "forefeed_miss_wait_seconds",
            "How long readers waited for a missing feed",
            count_value=self._origin.waits,
            sum_value=self._origin.waited_s,
        )
        yield GaugeMetricFamily("forefeed_fetches_under_way", "Fetches not finished", value=self._origin.under_way)
        for name, read in self._gauges.items():
            yield GaugeMetricFamily(f"forefeed_{name}", name.replace("_", " "), value=read())


class Metrics:
    """Requests by route and status, their latency by route, and the cache's state."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, origin: Origin, residency: Residency, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "forefeed_http_requests", "Requests answered", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "forefeed_http_request_seconds",
            "From routing to the answer being ready to send",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._registry.register(_State(origin, residency, gauges))
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def text(self) -> bytes:
        """The exposition, in Prometheus' text format."""
        return generate_latest(self._registry)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answer. Children are kept: looking them up by labels costs more than counting (2 µs)."""
        children = self._children.get((route, status))
        if children is None:
            children = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._children[route, status] = children
        children[0].inc()
        children[1].observe(seconds)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Measure a request. Stands outside of everything that can fail."""
        began = time.perf_counter()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = _UNMATCHED if resource is None else resource.canonical
        self.observe(route, response.status, time.perf_counter() - began)
        return response
