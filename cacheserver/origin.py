"""Where a feed comes from: memory, the store, generation on demand, or the shared trending feed.

Fresh (age ≤ fresh_s): served as it is. Stale (≤ stale_s): served while a new one is looked for. Otherwise a miss: one
flight per viewer goes to the store and, if that has nothing young enough, to the generator; every reader of that viewer
waits for the same flight, each at most `generate_deadline_s`, and none of them stops it by giving up. Ages are domain
time since generated_at; deadlines are real time.
"""

import asyncio
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from cacheserver.problems import Refusal
from cacheserver.residency import Residency
from cacheserver.shelf import Shelf
from cacheserver.wire import CacheResult
from feedgen.config import Settings
from feedgen.errors import BadRecord, GenerationFailed, QueueFull, StoreError
from feedgen.feed.feedmap import FeedMap, combine
from feedgen.feed.record import Generation, bulk_of
from feedgen.feed.roles import TRENDING_KEY, Clock, FeedStore, Generator

_log = logging.getLogger(__name__)

BUSY: Final = Refusal(503, "too many feeds are being fetched; send the request again", retry_after_s=1)
LOOK_AGAIN_S: Final = 1.0
"""Real seconds between two looks for something newer than a stale feed, which may be read a thousand times a second."""
AGES_S: Final = (1.0, 10.0, 60.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0)
_EMPTY: Final = bulk_of(Generation(0, 0), ())


class Found(NamedTuple):
    """A viewer's feed and how it was found.

    `joined`: waited for another reader's flight. `stored`: is in memory now. `failed`: it brought nothing newer.
    """

    shelf: Shelf
    cache: CacheResult
    age_s: float
    joined: bool = False
    stored: bool = False
    failed: bool = False


class _Flight:
    """One trip for one viewer. `too_old`: the copy to show when nothing younger can be had."""

    __slots__ = ("task", "too_old")

    def __init__(self, too_old: Shelf | None) -> None:
        self.too_old = too_old
        self.task: asyncio.Task[Shelf | None] | None = None


class Origin:
    """Finds feeds. One event loop owns it; `close` ends what it has under way."""

    def __init__(
        self,
        settings: Settings,
        residency: Residency,
        store: FeedStore,
        generator: Generator | None,
        clock: Clock,
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._residency = residency
        self._store = store
        self._generator = generator
        self._clock = clock
        self._monotonic = monotonic
        self._flights: dict[str, _Flight] = {}
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._trending_looked_at = float("-inf")
        self.counts: Counter[CacheResult] = Counter()
        self.ages = [0] * (len(AGES_S) + 1)
        self.ages_sum_s = 0.0
        """How old feeds were when they were read: how many up to each of AGES_S, and older; and all ages together."""
        self.shed = 0
        """Misses that were not gone after, because too many were under way."""
        self.waiting = 0
        """Readers that wait for a flight at this moment."""
        self.waits = 0
        self.waited_s = 0.0
        """How many readers have waited for one, and how long in all (real seconds)."""

    async def find(self, viewer: str) -> Found:
        """The viewer's feed, from the nearest place that has it. Does not raise for a store or generator in trouble.

        Raises BUSY if it is not in memory and too many are being fetched.
        """
        shelf = self._residency.read(viewer)
        if shelf is not None:
            age_s = self._age(shelf)
            if age_s <= self._settings.cache.fresh_s:
                return self._counted(Found(shelf, "hit", age_s))
            if age_s <= self._settings.cache.stale_s:
                self._look_for_newer(viewer, shelf)
                return self._counted(Found(shelf, "stale", age_s))
        return self._counted(await self._miss(viewer, shelf))

    async def drop(self, viewer: str) -> None:
        """Forget the viewer's feed here and in the store. Raises StoreError."""
        self._residency.drop(viewer)
        await self._store.delete(viewer)
        self._residency.drop(viewer)  # a reader may have brought it back while the store was deleting

    async def close(self) -> None:
        """Cancel flights and looks and wait until they are gone."""
        tasks: list[asyncio.Task[Any]] = [flight.task for flight in self._flights.values() if flight.task]
        tasks += self._looks.values()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def under_way(self) -> int:
        """Flights and background looks that are not finished."""
        return len(self._flights) + len(self._looks)

    def read_at_age(self, age_s: float, reads: int = 1) -> None:
        """So many feeds were read at this age. O(log ages)."""
        self.ages[bisect_left(AGES_S, age_s)] += reads
        self.ages_sum_s += age_s * reads

    def _counted(self, found: Found) -> Found:
        self.counts[found.cache] += 1
        self.read_at_age(found.age_s)
        return found

    def _age(self, shelf: Shelf) -> float:
        return max(0.0, self._clock() - shelf.current.last_generated)

    def sheds(self, viewer: str, in_line: int = 0) -> bool:
        """Whether a miss of this viewer would be refused: as many are under way as may be, none of them the viewer's.

        `in_line`: how many wait to be begun. O(1).
        """
        return len(self._flights) + in_line >= self._settings.server.misses_at_once and viewer not in self._flights

    async def _miss(self, viewer: str, too_old: Shelf | None) -> Found:
        if self.sheds(viewer):
            self.shed += 1
            if too_old is None:
                raise BUSY
            return Found(too_old, "stale", self._age(too_old), failed=True)
        flight = self._flights.get(viewer)
        joined = flight is not None
        if flight is None:
            flight = self._take_off(viewer, too_old)
        task = flight.task
        assert task is not None
        self.waiting += 1
        began = self._monotonic()
        try:
            await asyncio.wait((task,), timeout=self._settings.server.generate_deadline_s)
        finally:
            self.waiting -= 1
            self.waits += 1
            self.waited_s += self._monotonic() - began
        shelf = task.result() if task.done() and not task.cancelled() and task.exception() is None else None
        if shelf is not None:  # something may have been removed since it landed
            shelf = self._residency.read(viewer) or self._residency.show(viewer, shelf.current)
        if shelf is not None:
            return Found(shelf, "miss", self._age(shelf), joined, viewer in self._residency)
        if flight.too_old is not None:
            # Admitted, so that whoever pages through it can go on when the new generation lands.
            shelf = self._residency.admit(viewer, flight.too_old.current)
        if shelf is not None:
            return Found(shelf, "stale", self._age(shelf), joined, failed=True)
        trending = await self.trending()
        return Found(trending, "fallback", self._age(trending), joined)

    def _take_off(self, viewer: str, too_old: Shelf | None) -> _Flight:
        flight = self._flights[viewer] = _Flight(too_old)

        def landed(task: "asyncio.Task[Shelf | None]") -> None:
            del self._flights[viewer]
            _report(task, f"no feed for a viewer who misses one ({viewer!r})")

        flight.task = asyncio.create_task(self._fly(viewer, flight))
        flight.task.add_done_callback(landed)
        return flight

    async def _fly(self, viewer: str, flight: _Flight) -> Shelf | None:
        """The trip: store, then generator. None if neither knows the viewer. Raises what they raise."""
        shelf = await self._load(viewer)
        if shelf is not None:
            age_s = self._age(shelf)
            if age_s <= self._settings.cache.stale_s:
                if age_s > self._settings.cache.fresh_s:
                    self._look_for_newer(viewer, shelf)
                return shelf
            if flight.too_old is None or shelf.current.generation > flight.too_old.current.generation:
                flight.too_old = shelf
        if self._generator is None:
            return None
        bulk = await self._generator.generate(viewer)
        if bulk is None:
            return None
        return self._residency.admit(viewer, FeedMap(bulk, self._settings.feed.items))

    async def _load(self, viewer: str) -> Shelf | None:
        """The stored feed, brought forward; admitted to memory unless it is too old (trending may be of any age)."""
        record = await self._store.get(viewer)
        if record is None:
            return None
        try:
            feed = combine(record.bulk, record.live, self._settings.feed.items)
        except BadRecord as error:  # bytes that could be decoded, and are no feed all the same
            _log.warning("the stored feed of viewer %r is not used: %s", viewer, error)
            return None
        if viewer == TRENDING_KEY or self._clock() - feed.last_generated <= self._settings.cache.stale_s:
            return self._residency.admit(viewer, feed)
        return self._residency.show(viewer, feed)

    def _look_for_newer(self, viewer: str, shelf: Shelf) -> None:
        """Ask for a newer generation of a stale feed, in the background, at most once a second per viewer."""
        now = self._monotonic()
        if now - shelf.looked_at < LOOK_AGAIN_S:
            return
        shelf.looked_at = now
        if self._generator is not None:
            self._generator.refresh(viewer)
        else:
            self._look(viewer)

    def _look(self, viewer: str) -> "asyncio.Task[None]":
        """Load the viewer's record in the background, one load at a time per viewer."""
        task = self._looks.get(viewer)
        if task is None:

            async def look() -> None:
                await self._load(viewer)

            def done(task: "asyncio.Task[None]") -> None:
                del self._looks[viewer]
                _report(task, f"no newer feed from the store ({viewer!r})")

            task = self._looks[viewer] = asyncio.create_task(look())
            task.add_done_callback(done)
        return task

    async def trending(self) -> Shelf:
        """The shared trending feed; an empty one if there is none. Waits for the store only if it has never been read.

        Looked up again when it is older than fresh_s, at most once a second.
        """
        shelf = self._residency.trending
        now = self._monotonic()
        old = shelf is None or self._age(shelf) > self._settings.cache.fresh_s
        if old and now - self._trending_looked_at >= LOOK_AGAIN_S:
            self._trending_looked_at = now
            self._look(TRENDING_KEY)
        look = self._looks.get(TRENDING_KEY)
        if shelf is None and look is not None:
            await asyncio.wait((look,), timeout=self._settings.server.generate_deadline_s)
            shelf = self._residency.trending
        return shelf or Shelf(TRENDING_KEY, FeedMap(_EMPTY), now)


def _report(task: "asyncio.Task[Any]", what: str) -> None:
    """Surface a background task's failure: one line for the expected kinds, a traceback for the rest."""
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, (StoreError, GenerationFailed, QueueFull, BadRecord)):
        _log.warning("%s: %s", what, error)
    elif error is not None:
        _log.error("%s", what, exc_info=error)
