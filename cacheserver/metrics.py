"""What /metrics says. Everything is counted in plain integers and read at the scrape, not pushed.

prometheus-client's own counters lock: 2 µs an answer, where a page of the fast lane takes 2 in all.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from cacheserver.origin import AGES_S, Origin
from cacheserver.problems import Handler
from cacheserver.residency import Residency
from cacheserver.served import ServedLog

_BUCKETS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0)
"""From a hot page (0.1 ms) past the deadline of a miss (200 ms)."""
_BOUNDS: Final = (*map(str, _BUCKETS_S), "+Inf")
UNMATCHED: Final = "unmatched"


class RouteCounts:
    """Answers of one route: by status, and by how long they took."""

    __slots__ = ("buckets", "seconds", "statuses")

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.buckets = [0] * len(_BOUNDS)
        self.seconds = 0.0

    def observe(self, status: int, seconds: float, answers: int = 1) -> None:
        """Count `answers` that took `seconds` in all."""
        self.statuses[status] += answers
        self.buckets[bisect_left(_BUCKETS_S, seconds / answers)] += answers
        self.seconds += seconds


class _State(Collector):
    """Reads what is counted when scraped."""

    def __init__(
        self,
        routes: Mapping[str, RouteCounts],
        origin: Origin,
        residency: Residency,
        served: ServedLog | None,
        families: Callable[[], Iterable[Metric]],
    ) -> None:
        self._families = families
        self._routes = routes
        self._origin = origin
        self._residency = residency
        self._served = served

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("forefeed_http_requests", "Requests answered", labels=["route", "status"])
        seconds = HistogramMetricFamily(
            "forefeed_http_request_seconds", "From routing to the answer being ready to send", labels=["route"]
        )
        for route, counts in self._routes.items():
            for status, answers in counts.statuses.items():
                requests.add_metric([route, str(status)], answers)
            buckets = [(bound, float(count)) for bound, count in zip(_BOUNDS, accumulate(counts.buckets), strict=True)]
            seconds.add_metric([route], buckets, counts.seconds)
        yield requests
        yield seconds
        reads = CounterMetricFamily("forefeed_feed_reads", "Feeds found, by how", labels=["cache"])
        for cache in ("hit", "stale", "miss", "fallback"):
            reads.add_metric([cache], self._origin.counts[cache])
        yield reads
        bounds = (*map(str, AGES_S), "+Inf")
        yield HistogramMetricFamily(
            "forefeed_feed_age_at_read_seconds",
            "How old feeds were when they were read",
            buckets=[(bound, float(count)) for bound, count in zip(bounds, accumulate(self._origin.ages), strict=True)],
            sum_value=self._origin.ages_sum_s,
        )
        residency = self._residency
        yield CounterMetricFamily("forefeed_cache_evictions", "Feeds that left for space", value=residency.evictions)
        yield CounterMetricFamily(
            "forefeed_cache_evictions_foreseen", "Of those, of viewers expected back last", value=residency.foreseen
        )
        yield CounterMetricFamily("forefeed_cache_expiries", "Feeds that left for age", value=residency.expiries)
        yield GaugeMetricFamily("forefeed_cache_bytes", "Bytes of feeds in memory", value=residency.nbytes)
        yield GaugeMetricFamily("forefeed_cache_max_bytes", "Bound of that", value=residency.max_bytes)
        yield GaugeMetricFamily("forefeed_cache_feeds", "Viewers whose feed is in memory", value=len(residency))
        yield CounterMetricFamily(
            "forefeed_misses_shed", "Misses answered with 503 or an old copy", value=self._origin.shed
        )
        yield GaugeMetricFamily("forefeed_misses_waiting", "Readers waiting for a feed", value=self._origin.waiting)
        yield SummaryMetricFamily(
            "forefeed_miss_wait_seconds",
            "How long readers waited for a missing feed",
            count_value=self._origin.waits,
            sum_value=self._origin.waited_s,
        )
        yield GaugeMetricFamily("forefeed_fetches_under_way", "Fetches not finished", value=self._origin.under_way)
        yield CounterMetricFamily(
            "forefeed_served_not_logged",
            "Pages sent that were not written down, the log being too slow",
            value=self._served.dropped if self._served else 0,
        )
        yield from self._families()


class Metrics:
    """Requests by route and status, their latency by route, the cache's state, the process. One event loop owns it."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        origin: Origin,
        residency: Residency,
        served: ServedLog | None,
        families: Callable[[], Iterable[Metric]],
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, processor time, open files
        self._routes: dict[str, RouteCounts] = {}
        self.before_scrape: list[Callable[[], None]] = []
        """Called before the counters are read, for those who keep counts of their own."""
        self._registry.register(_State(self._routes, origin, residency, served, families))

    def text(self) -> bytes:
        """The exposition, in Prometheus' text format."""
        for settle in self.before_scrape:
            settle()
        return generate_latest(self._registry)

    def of(self, route: str) -> RouteCounts:
        """Where answers of `route` are counted."""
        counts = self._routes.get(route)
        if counts is None:
            counts = self._routes[route] = RouteCounts()
        return counts

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Measure a request. Stands outside of everything that can fail."""
        began = time.perf_counter()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = UNMATCHED if resource is None else resource.canonical
        self.of(route).observe(response.status, time.perf_counter() - began)
        return response
