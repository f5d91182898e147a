"""Feeds in memory: shelves bounded by their bytes, reading sessions, idle expiry.

Who leaves for space is chosen ahead of time (`look_ahead`): of the least recently read, who is expected back last. When
nobody was chosen in time, or nothing can be expected, it is the least recently read.

Recency is touched by reads and by nothing else. The bound is on everything held for viewers: every kept generation,
the shelves and the keys. It is never passed, not even while an entry grows.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from math import inf
from typing import Final

from cacheserver.encoded import Encoded, PageIndex
from cacheserver.shelf import Shelf
from feedgen.config import Settings
from feedgen.feed.eviction import LookAhead
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.record import Bulk
from feedgen.feed.roles import TRENDING_KEY, Hidden, NextAccess, Removals

_log = logging.getLogger(__name__)

CHOSEN: Final = 16
"""Viewers who are chosen to leave at a time, of about a thousand: 3 ms in a thread."""
LOOK_S: Final = 0.05
"""Real seconds between two looks at whether somebody has to be chosen; at 300 evictions a second all are."""
CHOICE_S: Final = 60.0
"""Real seconds for which a choice holds: what is expected changes with the hour."""
FULL: Final = 0.9
"""Share of the bound from which on it is worth asking who leaves."""
SWEEP_SLICE: Final = 1_000
"""Viewers looked at per slice of a sweep: about 0.2 ms, so that no request waits longer for it."""


class _Lru:
    """Shelves in the order they were read, the least recent first. Counts what it evicts."""

    __slots__ = ("ahead", "currsize", "evictions", "foreseen", "leaving", "maxsize", "monotonic", "order")

    def __init__(self, max_bytes: int, monotonic: Callable[[], float]) -> None:
        self.order: OrderedDict[str, Shelf] = OrderedDict()
        self.maxsize = max_bytes
        self.monotonic = monotonic
        self.currsize = 0
        self.evictions = 0
        self.foreseen = 0
        self.ahead = LookAhead()
        self.leaving: deque[tuple[str, float]] = deque()
        """Who leaves next, and when that was decided (real clock, s): a later read revokes it."""

    def put(self, viewer: str, shelf: Shelf) -> None:
        """Take in the shelf of a viewer who has none here, as the most recent; room is made first."""
        self._make_room(shelf.nbytes)
        self.order[viewer] = shelf
        self.currsize += shelf.nbytes

    def pop(self, viewer: str) -> None:
        """Let the viewer's shelf go, if there is one."""
        shelf = self.order.pop(viewer, None)
        if shelf is not None:
            self.currsize -= shelf.nbytes
            shelf.forget_pages()

    def evict(self) -> str:
        """Let one go for space: who was chosen ahead, else the least recently read; says who. O(1), amortised."""
        viewer = self._chosen() or next(iter(self.order))
        shelf = self.order.pop(viewer)
        self.currsize -= shelf.nbytes
        shelf.forget_pages()
        self.evictions += 1
        self.ahead.left(self.monotonic() - shelf.read_at)
        return viewer

    def _chosen(self) -> str | None:
        while self.leaving:
            viewer, decided_at = self.leaving.popleft()
            shelf = self.order.get(viewer)
            if shelf is not None and shelf.read_at <= decided_at:
                self.foreseen += 1
                return viewer
        return None

    def resize(self, viewer: str, held: int) -> None:
        """Account for a shelf that held `held` bytes and now holds `nbytes`, its place in the order untouched.

        The least recently read leave to make room, this one if it is one of them.
        """
        shelf = self.order[viewer]
        self.currsize += shelf.nbytes - held
        if shelf.nbytes > self.maxsize:
            self.pop(viewer)
            self.evictions += 1
        self._make_room(0)

    def _make_room(self, size: int) -> None:
        while self.currsize + size > self.maxsize:
            self.evict()


class _NothingRemoved:
    """roles.Removals of a cache that is told of none."""

    head = last = 0

    def bring_forward(self, viewer: str, feed: FeedMap) -> bool:
        return True

    def hidden_from(self, viewer: str) -> Hidden | None:
        return None


class Residency:
    """Implements roles.Residents and roles.LiveSink. One event loop owns it.

    `monotonic` is the real clock in seconds: idle times and sessions have nothing to do with domain time.
    """

    def __init__(self, settings: Settings, monotonic: Callable[[], float], removals: Removals | None = None) -> None:
        self._settings = settings.cache
        self._capacity = settings.feed.items
        self._monotonic = monotonic
        self._removals: Removals = _NothingRemoved() if removals is None else removals
        self._lru = _Lru(settings.cache.max_bytes, monotonic)
        self._order = self._lru.order
        self._get, self._touch = self._order.get, self._order.move_to_end
        self._pages: PageIndex = {}  # all of them of feeds in memory
        self._trending: Shelf | None = None
        self.expiries = 0

    def __contains__(self, viewer: object) -> bool:
        return viewer in self._order

    def __iter__(self) -> Iterator[str]:
        """Viewers whose feed is in memory, the least recently read first."""
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def nbytes(self) -> int:
        """Bytes held for viewers, at most `cache.max_bytes`. The one shared trending feed is not counted. O(1)."""
        return self._lru.currsize

    @property
    def max_bytes(self) -> int:
        """The bound on `nbytes`."""
        return self._lru.maxsize

    @property
    def evictions(self) -> int:
        """Viewers that left for lack of space."""
        return self._lru.evictions

    @property
    def foreseen(self) -> int:
        """Of the evictions, those of viewers who were expected back last; the others were the least recently read."""
        return self._lru.foreseen

    @property
    def trending(self) -> Shelf | None:
        """The shared trending feed, brought forward; None until one is admitted under roles.TRENDING_KEY."""
        shelf = self._trending
        if shelf is not None and not shelf.bring_forward(TRENDING_KEY, self._removals)[0]:
            shelf = self._trending = None
        return shelf

    def hidden_from(self, viewer: str) -> Hidden | None:
        """What the viewer is not to see of the trending feed, which was not made for anybody; None for nothing."""
        return self._removals.hidden_from(viewer)

    def read(self, viewer: str) -> Shelf | None:
        """The viewer's shelf, brought forward through every removal and made the most recent; None is a miss. O(1)."""
        return self.read_at(viewer, self._monotonic())

    def read_at(self, viewer: str, now: float) -> Shelf | None:
        """As `read`, by a caller who has just looked at the real clock."""
        shelf = self._get(viewer)
        if shelf is None:
            return None
        if shelf.brought_to < self._removals.last:
            return self._brought_forward(viewer, shelf, now)
        self._touch(viewer)
        shelf.read_at = now
        return shelf

    def _brought_forward(self, viewer: str, shelf: Shelf, now: float) -> Shelf | None:
        may_show, changed = shelf.bring_forward(viewer, self._removals)
        if not may_show:
            self._lru.pop(viewer)
            return None
        self._touch(viewer)
        shelf.read_at = now
        if changed:
            self._account(viewer, shelf)
        return shelf

    def page_at(self, key: Hashable, now: float) -> Encoded | None:
        """The page kept under `key`, its feed made the most recent as by `read_at`; None if there is none. O(1).

        None also if the feed must first be brought forward, which `read_at` does.
        """
        page = self._pages.get(key)
        if page is None:
            return None
        shelf = page.shelf
        if shelf.brought_to < self._removals.last:
            return None
        self._touch(shelf.viewer)
        shelf.read_at = now
        return page

    def keep_page(self, viewer: str, shelf: Shelf, key: Hashable, page: Encoded) -> None:
        """Keep an encoded page with the viewer's feed, as part of its bytes; room is made as for a feed. O(1)."""
        if self._settings.encoded_pages:
            shelf.keep(self._pages, key, page, self._settings.encoded_pages)
            self._account(viewer, shelf)

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
            self._lru.put(viewer, fresh)
        return fresh

    def show(self, viewer: str, feed: FeedMap) -> Shelf | None:
        """`feed` brought forward, to be shown once and not kept; None if it may not be shown."""
        if not self._removals.bring_forward(viewer, feed):
            return None
        return Shelf(viewer, feed, self._monotonic())

    def replaced(self, viewer: str, bulk: Bulk) -> None:
        """A new bulk column was written; a resident feed takes it over, a missing one stays missing. O(n) in C.

        The trending feed is always taken over. Recency is not touched: nobody read anything.
        """
        if viewer == TRENDING_KEY:
            self.admit(viewer, FeedMap(bulk, self._capacity))
            return
        shelf = self._order.get(viewer)
        if shelf is not None and bulk.generation > shelf.current.generation:
            self._renew(viewer, shelf, FeedMap(bulk, self._capacity))

    def has_room(self, viewer: str, feed: FeedMap) -> bool:
        """Whether the feed can be admitted without anyone leaving. O(1)."""
        return self.nbytes + Shelf(viewer, feed, 0.0).nbytes <= self.max_bytes

    def drop(self, viewer: str) -> None:
        """Forget the viewer's feed, whatever session is open."""
        self._lru.pop(viewer)

    def expire(self, viewers: Iterable[str]) -> None:
        """Of `viewers`, drop who has not read for `idle_s`, and close sessions older than `session_s`. O(len)."""
        now = self._monotonic()
        idle, session = now - self._settings.idle_s, now - self._settings.session_s
        for viewer in viewers:
            shelf = self._order.get(viewer)
            if shelf is None:
                continue
            if shelf.read_at < idle:
                self._lru.pop(viewer)
                self.expiries += 1
            elif shelf.older and shelf.close_sessions(session, self._settings.session_generations):
                self._account(viewer, shelf)

    async def sweep(self) -> None:
        """Expire everyone due, in slices, for ever; cancel to stop. A round looks at each resident once.

        The list of keys at a round's start costs about 10 ms per million residents.
        """
        pause_s = min(60.0, self._settings.idle_s / 4, self._settings.session_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            viewers = list(self._order)
            for start in range(0, len(viewers), SWEEP_SLICE):
                self.expire(viewers[start : start + SWEEP_SLICE])
                await asyncio.sleep(0)

    async def look_ahead(self, expected: NextAccess) -> None:
        """Choose who leaves next as long as the cache is full, for ever; cancel to stop.

        Off the path of every read: a choice is `LOOKED_AT` viewers for each of `CHOSEN` that leave, asked about while
        reads go on. What goes wrong is logged once, and the least recently read leave.
        """
        failed = False
        while True:
            await asyncio.sleep(LOOK_S)
            if self.nbytes < FULL * self.max_bytes or self._is_chosen():
                continue
            try:
                await self.choose_leaving(expected)
                failed = False
            except Exception:
                if not failed:
                    _log.exception("nothing can be expected of viewers; the least recently read leave")
                failed = True

    def _is_chosen(self) -> bool:
        """Whether more than half of the last choice is left, and it is not old."""
        leaving = self._lru.leaving
        if not leaving or 2 * len(leaving) <= min(CHOSEN, len(self._order) // 8):
            return False
        return self._monotonic() - leaving[0][1] < CHOICE_S

    async def choose_leaving(self, expected: NextAccess) -> None:
        """Choose who leaves next: an eighth of memory at most, so that few feeds are not all given away at once."""
        ahead, leaving = self._lru.ahead, max(1, min(CHOSEN, len(self._order) // 8))
        decided_at = self._monotonic()
        candidates = ahead.candidates(self._order, leaving)
        worth = await expected.soon(candidates, ahead.tau_s)
        chosen = ahead.choose(candidates, worth, leaving)
        self._lru.leaving = deque((viewer, decided_at) for viewer in chosen)

    def _renew(self, viewer: str, shelf: Shelf, feed: FeedMap) -> None:
        if not shelf.replace(feed):
            return
        shelf.close_sessions(self._monotonic() - self._settings.session_s, self._settings.session_generations)
        self._account(viewer, shelf)

    def _account(self, viewer: str, shelf: Shelf) -> None:
        """Set the books right after `shelf` changed; sessions are given up before the feed itself is."""
        held = shelf.nbytes
        shelf.account()
        if shelf.nbytes > self._lru.maxsize and shelf.pages:
            shelf.forget_pages()
            shelf.account()
        while shelf.nbytes > self._lru.maxsize and shelf.close_sessions(-inf, len(shelf.older or ()) - 1):
            shelf.account()
        if self._order.get(viewer) is shelf:
            self._lru.resize(viewer, held)

    def check(self) -> None:
        """Assert every invariant. For tests. O(residents)."""
        total = kept = 0
        for shelf in self._order.values():
            counted = shelf.nbytes
            shelf.account()
            assert counted == shelf.nbytes, "a shelf changed and was not accounted for"
            generations = [feed.generation for feed in shelf.feeds]
            assert generations == sorted(set(generations), reverse=True), "generations out of order"
            assert len(shelf.feeds) <= 1 + self._settings.session_generations
            assert shelf.brought_to <= min(feed.brought_to for feed in shelf.feeds)
            pages = shelf.pages or []
            assert len(pages) <= self._settings.encoded_pages
            assert (shelf.pages_bytes == 0) == (not pages)
            assert all(page.shelf is shelf and self._pages[page.key] is page for page in pages)
            kept += len(pages)
            total += counted
        assert kept == len(self._pages), "a page is kept of a feed that is not here"
        assert total == self.nbytes, "the books do not add up"
        assert total <= self._settings.max_bytes, "the bound is passed"
