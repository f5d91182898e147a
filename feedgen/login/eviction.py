"""Logins replayed as accesses to a small cache: plain LRU, eviction by the predictor, and Belady's optimum."""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from feedgen.feed.eviction import LookAhead
from feedgen.login.predictor import Hazards, Predictor
from feedgen.login.visits import Reader, Visits
from feedgen.state.habits import Habits, Ints

SHARES: Final = (0.05, 0.10, 0.20)
"""Capacities: shares of the viewers with a login in the period."""


@dataclass(frozen=True)
class Evicted:
    """Hit ratios at one capacity (feeds)."""

    capacity: int
    lru: float
    predicted: float
    belady: float

    @property
    def closed(self) -> float:
        """Share of the gap between LRU and Belady that the predictor closes; 0 where there is none."""
        gap = self.belady - self.lru
        return (self.predicted - self.lru) / gap if gap > 0 else 0.0


def evictions(
    visits: Visits,
    begin: float,
    until: float,
    hazards: Hazards,
    on_progress: Callable[[float], None] = lambda share: None,
) -> list[Evicted]:
    """Every login in [begin, until) is an access; each cache begins empty. About 1 ms an access and capacity."""
    inside = np.flatnonzero(visits.came & (visits.ts >= begin) & (visits.ts < until))
    accesses = visits.viewers[inside]
    capacities = [max(1, round(share * len(np.unique(accesses)))) for share in SHARES]
    ours = _predicted(visits, inside, capacities, hazards, on_progress)
    count = max(len(accesses), 1)
    return [
        Evicted(capacity, _lru(accesses, capacity) / count, hits / count, _belady(accesses, capacity) / count)
        for capacity, hits in zip(capacities, ours, strict=True)
    ]


def _lru(accesses: Ints, capacity: int) -> int:
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for viewer in accesses.tolist():
        if viewer in kept:
            hits += 1
            kept.move_to_end(viewer)
            continue
        if len(kept) >= capacity:
            kept.popitem(last=False)
        kept[viewer] = None
    return hits


def _belady(accesses: Ints, capacity: int) -> int:
    """Hits when who leaves is who comes latest. O(n log n)."""
    following = np.full(len(accesses), len(accesses), np.int64)
    seen: dict[int, int] = {}
    for at in range(len(accesses) - 1, -1, -1):
        viewer = int(accesses[at])
        following[at] = seen.get(viewer, len(accesses) + viewer)
        seen[viewer] = at
    kept: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for viewer, comes in zip(accesses.tolist(), following.tolist(), strict=True):
        if viewer in kept:
            hits += 1
        elif len(kept) >= capacity:
            while kept.get(latest[0][1]) != -latest[0][0]:  # it came meanwhile, and comes again later
                heapq.heappop(latest)
            del kept[heapq.heappop(latest)[1]]
        kept[viewer] = comes
        heapq.heappush(latest, (-comes, viewer))
    return hits


def _predicted(
    visits: Visits, inside: Ints, capacities: list[int], hazards: Hazards, on_progress: Callable[[float], None]
) -> list[int]:
    habits = Habits()
    reader, predictor = Reader(visits, habits), Predictor(habits, hazards)
    caches: list[OrderedDict[str, float]] = [OrderedDict() for _ in capacities]  # viewer → last read, the oldest first
    policies = [LookAhead() for _ in capacities]
    hits = [0] * len(capacities)
    for number, at in enumerate(inside.tolist()):
        viewer, now = str(visits.viewers[at]), float(visits.ts[at])
        reader.read_before(now)
        for which, (kept, capacity) in enumerate(zip(caches, capacities, strict=True)):
            if viewer in kept:
                hits[which] += 1
                kept.move_to_end(viewer)
            elif len(kept) >= capacity:
                policy = policies[which]
                oldest = policy.candidates(kept)
                worth = predictor.soon(np.array(oldest, np.int64), now, policy.tau_s)
                (left,) = policy.choose(oldest, worth.tolist())
                policy.left(now - kept.pop(left))
            kept[viewer] = now
        if number % 256 == 0:
            on_progress(number / len(inside))
    return hits
