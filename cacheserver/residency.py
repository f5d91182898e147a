"""Feeds in memory: a byte-bounded LRU of shelves, reading sessions, idle expiry.

Recency is touched by reads and by nothing else. The bound is on everything held for viewers: every kept generation,
the shelves and the keys. It is never passed, not even while an entry grows.
"""

import asyncio
from collections.abc import Callable, Iterable
from math import inf
from operator import attrgetter
from typing import Final

from cachetools import Cache, LRUCache

from cacheserver.shelf import Shelf
from feedgen.config import Settings
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.feed.roles import TRENDING_KEY, Hidden, Removals

SWEEP_SLICE: Final = 1_000
"""Viewers looked at per slice of a sweep: about 0.2 ms, so that no request waits longer for it."""


class _Lru(LRUCache[str, Shelf]):
    """LRUCache that counts what it evicts, and can change an entry without making it recent."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, getsizeof=attrgetter("nbytes"))
        self.evictions = 0

    def popitem(self) -> tuple[str, Shelf]:
        self.evictions += 1
        return super().popitem()

    def peek(self, viewer: str) -> Shelf | None:
        """The shelf, its recency untouched. O(1)."""
        return Cache.__getitem__(self, viewer) if viewer in self else None

    def resize(self, viewer: str, shelf: Shelf, held: int) -> None:
        """Account for a shelf that held `held` bytes and now holds `nbytes`, its place in the order untouched.

        LRUCache.__setitem__ would make it the most recent. Cache.__setitem__ leaves the order alone, but may evict the
        entry it is about to write, so room is made first; the least recently read leave, this one if it is one of them.
        """
        if shelf.nbytes > self.maxsize:
            del self[viewer]
            self.evictions += 1
            return
        while self.currsize - held + shelf.nbytes > self.maxsize:
            if self.popitem()[0] == viewer:
                return
        Cache.__setitem__(self, viewer, shelf)


class Residency:
    """Implements roles.Residents and roles.LiveSink. One event loop owns it.

    `monotonic` is the real clock in seconds: idle times and sessions have nothing to do with domain time.
    """

    def __init__(self, settings: Settings, monotonic: Callable[[], float], removals: Removals | None = None) -> None:
        self._settings = settings.cache
        self._capacity = settings.feed.items
        self._monotonic = monotonic
        self._removals = removals
        self._lru = _Lru(settings.cache.max_bytes)
        self._trending: Shelf | None = None
        self.expiries = 0

    def __contains__(self, viewer: object) -> bool:
        return viewer in self._lru

    def __len__(self) -> int:
        return len(self._lru)

    @property
    def nbytes(self) -> int:
        """Bytes held for viewers, at most `cache.max_bytes`. The one shared trending feed is not counted. O(1)."""
        return int(self._lru.currsize)

    @property
    def max_bytes(self) -> int:
        """The bound on `nbytes`."""
        return int(self._lru.maxsize)

    @property
    def evictions(self) -> int:
        """Viewers that left for lack of space."""
        return self._lru.evictions

    @property
    def trending(self) -> Shelf | None:
        """The shared trending feed, brought forward; None until one is admitted under roles.TRENDING_KEY."""
        shelf = self._trending
        if shelf is not None and not self._shown(TRENDING_KEY, shelf)[0]:
            shelf = self._trending = None
        return shelf

    def hidden_from(self, viewer: str) -> Hidden | None:
        """What the viewer is not to see of the trending feed, which was not made for anybody; None for nothing."""
        return None if self._removals is None else self._removals.hidden_from(viewer)

    def read(self, viewer: str) -> Shelf | None:
        """The viewer's shelf, brought forward through every removal and made the most recent; None is a miss. O(1)."""
        shelf = self._lru.peek(viewer)
        if shelf is None:
            return None
        may_show, changed = self._shown(viewer, shelf)
        if not may_show:
            del self._lru[viewer]
            return None
        shelf = self._lru[viewer]  # the touch
        shelf.read_at = self._monotonic()
        if changed:
            self._account(viewer, shelf)
        return shelf

    def paged(self, shelf: Shelf, feed: FeedMap) -> None:
        """A page of `feed` goes out to a reader: that generation is kept while the session is open."""
        shelf.paged(feed, self._monotonic())

    def admit(self, viewer: str, feed: FeedMap) -> Shelf | None:
        """Take in a feed that was just read from elsewhere, brought forward; None if it may not be shown.

        The newest generation wins: what is resident stays if it is as new. A shelf larger than the whole bound is
        returned but not kept.
        """
        fresh = self.show(viewer, feed)
        if fresh is None:
            return None
        shelf = self._trending if viewer == TRENDING_KEY else self.read(viewer)
        if shelf is not None:
            self._renew(viewer, shelf, feed)
            return shelf
        if viewer == TRENDING_KEY:
            self._trending = fresh
        elif fresh.nbytes <= self._lru.maxsize:
            self._lru[viewer] = fresh
        return fresh

    def show(self, viewer: str, feed: FeedMap) -> Shelf | None:
        """`feed` brought forward, to be shown once and not kept; None if it may not be shown."""
        if self._removals is not None and not self._removals.bring_forward(viewer, feed):
            return None
        return Shelf(viewer, feed, self._monotonic())

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        """A new bulk column was written; a resident feed takes it over, a missing one stays missing. O(n) in C.

        The trending feed is always taken over. Recency is not touched: nobody read anything.
        """
        if viewer == TRENDING_KEY:
            self.admit(viewer, FeedMap(bulk, self._capacity))
            return
        shelf = self._lru.peek(viewer)
        if shelf is not None and bulk.generation > shelf.current.generation:
            self._renew(viewer, shelf, FeedMap(bulk, self._capacity))

    def has_room(self, viewer: str, feed: FeedMap) -> bool:
        """Whether the feed can be admitted without anyone leaving. O(1)."""
        return self.nbytes + Shelf(viewer, feed, 0.0).nbytes <= self.max_bytes

    def drop(self, viewer: str) -> None:
        """Forget the viewer's feed, whatever session is open."""
        self._lru.pop(viewer, None)

    def expire(self, viewers: Iterable[str]) -> None:
        """Of `viewers`, drop who has not read for `idle_s`, and close sessions older than `session_s`. O(len)."""
        now = self._monotonic()
        idle, session = now - self._settings.idle_s, now - self._settings.session_s
        for viewer in viewers:
            shelf = self._lru.peek(viewer)
            if shelf is None:
                continue
            if shelf.read_at < idle:
                del self._lru[viewer]
                self.expiries += 1
            elif len(shelf.feeds) > 1 and shelf.close_sessions(session, self._settings.session_generations):
                self._account(viewer, shelf)

    async def sweep(self) -> None:
        """Expire everyone due, in slices, for ever; cancel to stop. A round looks at each resident once.

        The list of keys at a round's start costs about 10 ms per million residents.
        """
        pause_s = min(60.0, self._settings.idle_s / 4, self._settings.session_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            viewers = list(self._lru)
            for start in range(0, len(viewers), SWEEP_SLICE):
                self.expire(viewers[start : start + SWEEP_SLICE])
                await asyncio.sleep(0)

    def _shown(self, viewer: str, shelf: Shelf) -> tuple[bool, bool]:
        return (True, False) if self._removals is None else shelf.bring_forward(viewer, self._removals)

    def _renew(self, viewer: str, shelf: Shelf, feed: FeedMap) -> None:
        if not shelf.replace(feed):
            return
        shelf.close_sessions(self._monotonic() - self._settings.session_s, self._settings.session_generations)
        self._account(viewer, shelf)

    def _account(self, viewer: str, shelf: Shelf) -> None:
        """Set the books right after `shelf` changed; sessions are given up before the feed itself is."""
        held = shelf.nbytes
        shelf.account()
        while shelf.nbytes > self._lru.maxsize and shelf.close_sessions(-inf, len(shelf.feeds) - 2):
            shelf.account()
        if self._lru.peek(viewer) is shelf:
            self._lru.resize(viewer, shelf, held)

    def check(self) -> None:
        """Assert every invariant. For tests. O(residents)."""
        total = 0
        for viewer in list(self._lru):
            shelf = self._lru.peek(viewer)
            assert shelf is not None
            counted = shelf.nbytes
            shelf.account()
            assert counted == shelf.nbytes, "a shelf changed and was not accounted for"
            generations = [feed.generation for feed in shelf.feeds]
            assert generations == sorted(set(generations), reverse=True), "generations out of order"
            assert len(shelf.feeds) <= 1 + self._settings.session_generations
            total += counted
        assert total == self.nbytes, "the books do not add up"
        assert total <= self._settings.max_bytes, "the bound is passed"
