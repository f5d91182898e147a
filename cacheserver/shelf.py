"""The generations of one viewer's feed that are in memory, and the pages of them that are encoded."""

import sys
from collections.abc import Hashable, Sequence
from math import inf
from typing import Final

from cacheserver.encoded import Encoded
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.roles import Removals

_SHELF_BYTES: Final = 800
"""A shelf, its lists and dict, and its entry in the LRU (602 bytes, tracemalloc), and where pages ended."""
_PAGE_BYTES: Final = 400
"""An encoded page besides its bytes: the object, its key and its entry in the dict (365 bytes, tracemalloc)."""


class Shelf:
    """The current generation first, behind it older ones that someone is in the middle of paging.

    `read_at`, `looked_at`: real clock, s; the last read, and the last look for something newer. `made_at`: when the
    current generation was made (s, UTC). `brought_to`: log offset up to which removals were applied to all of it.
    `pages`: encoded pages by what was asked; forgotten as soon as any of the generations changes. Not thread-safe.
    """

    __slots__ = (
        "_own_bytes", "brought_to", "ends", "feeds", "looked_at", "made_at", "nbytes", "paged_at", "pages",
        "pages_bytes", "read_at",
    )  # fmt: skip

    def __init__(self, viewer: str, feed: FeedMap, now: float) -> None:
        self.feeds: list[FeedMap] = [feed]
        self.paged_at: list[float] = [-inf]
        self.ends: list[str | None] = [None]
        self.pages: dict[Hashable, Encoded] = {}
        self.pages_bytes = 0
        self._own_bytes = _SHELF_BYTES + sys.getsizeof(viewer)
        self.read_at = now
        self.looked_at = -inf
        self.made_at = feed.last_generated
        self.brought_to = feed.brought_to
        self.nbytes = 0
        self.account()

    @property
    def current(self) -> FeedMap:
        """The newest generation."""
        return self.feeds[0]

    def account(self) -> None:
        """Set `nbytes` to what the shelf holds now. O(generations)."""
        self.nbytes = self._own_bytes + self.pages_bytes + sum(feed.nbytes for feed in self.feeds)

    def paged(self, feed: FeedMap, now: float) -> None:
        """A page of `feed` goes out: its reading session is open (again)."""
        for at, kept in enumerate(self.feeds):
            if kept is feed:
                self.paged_at[at] = now
                return

    def reached(self, feed: FeedMap, item_id: str) -> None:
        """A page of `feed` ended at this item, kept or older."""
        for at, kept in enumerate(self.feeds):
            if kept is feed:
                self.ends[at] = item_id
                return

    def whose_end(self, item_id: str) -> FeedMap | None:
        """The newest generation whose last page ended at this item: a walk without `generation` goes on in it."""
        return next((feed for feed, end in zip(self.feeds, self.ends, strict=True) if end == item_id), None)

    def keep(self, key: Hashable, page: Encoded, most: int) -> None:
        """Keep an encoded page, `most` of them; the latest leaves for it. Call `account` afterwards. O(1).

        Walks begin with the same pages and end on different ones: the early ones are asked for again.
        """
        while len(self.pages) >= most:
            self.pages_bytes -= _PAGE_BYTES + self.pages.popitem()[1].nbytes
        self.pages[key] = page
        self.pages_bytes += _PAGE_BYTES + page.nbytes

    def replace(self, feed: FeedMap) -> bool:
        """Make `feed` the current one; False if it is not newer. Call `close_sessions` and `account` afterwards."""
        if feed.generation <= self.current.generation:
            return False
        self.feeds.insert(0, feed)
        self.paged_at.insert(0, -inf)
        self.ends.insert(0, None)
        self.made_at = feed.last_generated
        self.brought_to = min(self.brought_to, feed.brought_to)
        self.forget_pages()
        return True

    def close_sessions(self, before: float, most: int) -> int:
        """Drop older generations last paged before `before`, and the least recently paged past `most`; how many."""
        older = sorted(range(1, len(self.feeds)), key=lambda at: self.paged_at[at], reverse=True)
        leaving = [at for rank, at in enumerate(older) if rank >= most or self.paged_at[at] < before]
        self._drop(leaving)
        return len(leaving)

    def bring_forward(self, viewer: str, removals: Removals) -> tuple[bool, bool]:
        """Apply what was removed since to every generation: (may the current one be shown, has anything changed).

        An older generation that may not be shown any more is dropped. O(generations) when nothing was removed.
        """
        alive = sum(feed.alive for feed in self.feeds)
        unfit = [at for at, feed in enumerate(self.feeds) if not removals.bring_forward(viewer, feed)]
        changed = bool(unfit) or alive != sum(feed.alive for feed in self.feeds)
        if changed:
            self.forget_pages()
        if 0 in unfit:
            return False, True
        self._drop(unfit)
        self.brought_to = min(feed.brought_to for feed in self.feeds)
        return True, changed

    def _drop(self, places: Sequence[int]) -> None:
        for at in sorted(places, reverse=True):
            del self.feeds[at], self.paged_at[at], self.ends[at]
        if places:
            self.forget_pages()

    def forget_pages(self) -> None:
        """What was encoded says which generation, its neighbours and its items; any of them may be another now."""
        self.pages.clear()
        self.pages_bytes = 0
