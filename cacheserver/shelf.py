"""The generations of one viewer's feed that are in memory, and the pages of them that are encoded."""

import sys
from collections.abc import Hashable, Sequence
from math import inf
from typing import Final

from cacheserver.encoded import Encoded, PageIndex
from feedgen.feed.feedmap import FeedMap
from feedgen.feed.roles import Removals

_SHELF_BYTES: Final = 620
"""A shelf, its dict, its entry in the LRU, and where its last page ended (tracemalloc; tests/cacheserver)."""
_OLDER_BYTES: Final = 320
"""An older generation besides its feed, and the list it is in."""
_PAGE_BYTES: Final = 500
"""An encoded page besides its bytes: the object, its key, its place in the list and its entry in the index, which takes
70 bytes more when it has just grown (430 to 500 bytes, tracemalloc)."""


class Session:
    """A generation that was current before, and the walk through it: when it was last paged, where the page ended."""

    __slots__ = ("end", "feed", "paged_at")

    def __init__(self, feed: FeedMap, paged_at: float, end: str | None) -> None:
        self.feed = feed
        self.paged_at = paged_at
        self.end = end


class Shelf:
    """The current generation, and older ones that someone is in the middle of paging, newest first.

    `read_at`, `looked_at`: real clock, s; the last read, and the last look for something newer. `made_at`: when the
    current generation was made (s, UTC). `paged_at`, `end`: when the current one was last paged, and the item its last
    page ended at. `brought_to`: log offset up to which removals were applied to all of it. `pages`: encoded pages in
    the order they were kept; forgotten as soon as any of the generations changes. Not thread-safe.
    """

    __slots__ = (
        "_own_bytes", "brought_to", "current", "end", "looked_at", "made_at", "nbytes", "older", "paged_at", "pages",
        "pages_bytes", "read_at", "viewer",
    )  # fmt: skip

    def __init__(self, viewer: str, feed: FeedMap, now: float) -> None:
        self.viewer = viewer
        self.current = feed
        self.paged_at = -inf
        self.end: str | None = None
        self.older: list[Session] | None = None  # few have any, and an empty list takes 56 bytes
        self.pages: list[Encoded] | None = None
        self.pages_bytes = 0
        self._own_bytes = _SHELF_BYTES + sys.getsizeof(viewer)
        self.read_at = now
        self.looked_at = -inf
        self.made_at = feed.last_generated
        self.brought_to = feed.brought_to
        self.nbytes = 0
        self.account()

    @property
    def feeds(self) -> list[FeedMap]:
        """Every generation, the newest first. O(generations); copies."""
        return [self.current, *(session.feed for session in self.older or ())]

    def account(self) -> None:
        """Set `nbytes` to what the shelf holds now. O(generations)."""
        self.nbytes = self._own_bytes + self.pages_bytes + self.current.nbytes
        for session in self.older or ():
            self.nbytes += _OLDER_BYTES + session.feed.nbytes

    def walked(self, at: int, now: float, end: str | None) -> None:
        """A page of the generation at this place in `feeds` goes out: its session is open (again). O(1).

        `end`: the item it ended at; None where the feed ends, which leaves the place of the page before.
        """
        session: Shelf | Session = self if at == 0 else (self.older or [])[at - 1]
        session.paged_at = now
        if end is not None:
            session.end = end

    def paged(self, feed: FeedMap, now: float) -> None:
        """A page of `feed` goes out: its reading session is open (again)."""
        for at, kept in enumerate(self.feeds):
            if kept is feed:
                self.walked(at, now, None)

    def reached(self, feed: FeedMap, item_id: str) -> None:
        """A page of `feed` ended at this item, kept or older."""
        for session in self.older or ():
            if session.feed is feed:
                session.end = item_id
        if feed is self.current:
            self.end = item_id

    def whose_end(self, item_id: str) -> FeedMap | None:
        """The newest generation whose last page ended at this item: a walk without `generation` goes on in it."""
        if self.end == item_id:
            return self.current
        return next((session.feed for session in self.older or () if session.end == item_id), None)

    def keep(self, index: PageIndex, key: Hashable, page: Encoded, most: int) -> None:
        """Keep an encoded page, `most` of them; the latest leaves for it. Call `account` afterwards. O(1).

        Walks begin with the same pages and end on different ones: the early ones are asked for again.
        """
        if self.pages is None:
            self.pages = []
        while len(self.pages) >= most:
            self._unlist(self.pages.pop())
        page.index, page.key, page.shelf = index, key, self
        index[key] = page
        self.pages.append(page)
        self.pages_bytes += _PAGE_BYTES + page.nbytes

    def _unlist(self, page: Encoded) -> None:
        del page.index[page.key]
        self.pages_bytes -= _PAGE_BYTES + page.nbytes

    def replace(self, feed: FeedMap) -> bool:
        """Make `feed` the current one; False if it is not newer. Call `close_sessions` and `account` afterwards."""
        if feed.generation <= self.current.generation:
            return False
        self.older = [Session(self.current, self.paged_at, self.end), *(self.older or ())]
        self.current, self.paged_at, self.end = feed, -inf, None
        self.made_at = feed.last_generated
        self.brought_to = min(self.brought_to, feed.brought_to)
        self.forget_pages()
        return True

    def close_sessions(self, before: float, most: int) -> int:
        """Drop older generations last paged before `before`, and the least recently paged past `most`; how many."""
        latest = sorted(self.older or (), key=lambda session: session.paged_at, reverse=True)
        return self._drop([each for rank, each in enumerate(latest) if rank >= most or each.paged_at < before])

    def bring_forward(self, viewer: str, removals: Removals) -> tuple[bool, bool]:
        """Apply what was removed since to every generation: (may the current one be shown, has anything changed).

        An older generation that may not be shown any more is dropped. O(generations) when nothing was removed.
        """
        feeds = self.feeds
        alive = sum(feed.alive for feed in feeds)
        unfit = [feed for feed in feeds if not removals.bring_forward(viewer, feed)]
        changed = bool(unfit) or alive != sum(feed.alive for feed in feeds)
        if changed:
            self.forget_pages()
        if self.current in unfit:
            return False, True
        self._drop([session for session in self.older or () if session.feed in unfit])
        self.brought_to = min(feed.brought_to for feed in self.feeds)
        return True, changed

    def _drop(self, leaving: Sequence[Session]) -> int:
        if leaving:
            self.older = [session for session in self.older or () if session not in leaving] or None
            self.forget_pages()
        return len(leaving)

    def forget_pages(self) -> None:
        """What was encoded says which generation, its neighbours and its items; any of them may be another now.

        Also for a shelf that leaves memory: a page that is kept is one of a resident feed.
        """
        pages, self.pages = self.pages, None
        for page in pages or ():
            self._unlist(page)
