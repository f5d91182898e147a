"""The generations of one viewer's feed that are in memory."""

import sys
from collections.abc import Sequence
from math import inf
from typing import Final

from feedgen.feed.feedmap import FeedMap
from feedgen.feed.roles import Removals

_SHELF_BYTES: Final = 800
"""A shelf, its lists, and its entries in the three dicts of the LRU (545 bytes, tracemalloc), and where pages ended."""


class Shelf:
    """The current generation first, behind it older ones that someone is in the middle of paging.

    `read_at`, `looked_at`: real clock, s; the last read, and the last look for something newer. Not thread-safe.
    """

    __slots__ = ("_end", "_own_bytes", "_paged_at", "feeds", "looked_at", "nbytes", "read_at")

    def __init__(self, viewer: str, feed: FeedMap, now: float) -> None:
        self.feeds: list[FeedMap] = [feed]
        self._paged_at: list[float] = [-inf]
        self._end: list[str | None] = [None]
        self._own_bytes = _SHELF_BYTES + sys.getsizeof(viewer)
        self.read_at = now
        self.looked_at = -inf
        self.nbytes = 0
        self.account()

    @property
    def current(self) -> FeedMap:
        """The newest generation."""
        return self.feeds[0]

    def account(self) -> None:
        """Set `nbytes` to what the shelf holds now. O(generations)."""
        self.nbytes = self._own_bytes + sum(feed.nbytes for feed in self.feeds)

    def paged(self, feed: FeedMap, now: float) -> None:
        """A page of `feed` goes out: its reading session is open (again)."""
        for at, kept in enumerate(self.feeds):
            if kept is feed:
                self._paged_at[at] = now
                return

    def reached(self, feed: FeedMap, item_id: str) -> None:
        """A page of `feed` ended at this item, kept or older."""
        for at, kept in enumerate(self.feeds):
            if kept is feed:
                self._end[at] = item_id
                return

    def whose_end(self, item_id: str) -> FeedMap | None:
        """The newest generation whose last page ended at this item: a walk without `generation` goes on in it."""
        return next((feed for feed, end in zip(self.feeds, self._end, strict=True) if end == item_id), None)

    def replace(self, feed: FeedMap) -> bool:
        """Make `feed` the current one; False if it is not newer. Call `close_sessions` and `account` afterwards."""
        if feed.generation <= self.current.generation:
            return False
        self.feeds.insert(0, feed)
        self._paged_at.insert(0, -inf)
        self._end.insert(0, None)
        return True

    def close_sessions(self, before: float, most: int) -> int:
        """Drop older generations last paged before `before`, and the least recently paged past `most`; how many."""
        older = sorted(range(1, len(self.feeds)), key=lambda at: self._paged_at[at], reverse=True)
        leaving = [at for rank, at in enumerate(older) if rank >= most or self._paged_at[at] < before]
        for at in sorted(leaving, reverse=True):
            del self.feeds[at], self._paged_at[at], self._end[at]
        return len(leaving)

    def bring_forward(self, viewer: str, removals: Removals) -> tuple[bool, bool]:
        """Apply what was removed since to every generation: (may the current one be shown, has anything changed).

        An older generation that may not be shown any more is dropped. O(generations) when nothing was removed.
        """
        changed = False
        unfit: Sequence[int] = ()
        for at, feed in enumerate(self.feeds):
            before = feed.brought_to
            if not removals.bring_forward(viewer, feed):
                unfit = (*unfit, at)
            changed |= feed.brought_to != before
        if 0 in unfit:
            return False, True
        for at in reversed(unfit):
            del self.feeds[at], self._paged_at[at], self._end[at]
        return True, changed or bool(unfit)
