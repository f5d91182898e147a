"""Posts in columns, and the recent ones of each author."""

from bisect import bisect_left
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, EventIds, ragged
from feedgen.state.lists import Lists, Spans
from feedgen.state.symbols import Symbols
from feedgen.state.toggles import Toggles

UNKNOWN: Final = -1
_SLACK_S: Final = 3 * 86_400.0
"""Posts stay this much longer than they can be shown: the newest event may be dated a day ahead of now, and a reader
may page on through a feed that has been stale for a day, as of when it was made."""


class Posts:
    """Columns by dense post index; a post may be known by an engagement before its own event comes.

    `author`: int32, UNKNOWN until the post's own event; `created`: float64 seconds; `deleted`, `withheld`: bool.
    """

    def __init__(self, symbols: Symbols, retention_s: float, per_author: int) -> None:
        """An author's recent posts are the newest `per_author`.

        Those `retention_s` and three days older than the newest post of everyone leave when their author posts again:
        whoever reads an author's list sets the bound on `created`.
        """
        self._symbols = symbols
        self._retention_s = retention_s + _SLACK_S
        self._per_author = per_author
        self._author = Column(np.int32, UNKNOWN)
        self._created = Column(np.float64, 0.0)
        self._deleted = Column(np.bool_, False)
        self._withheld = Column(np.bool_, False)
        self._reviews = Toggles()
        self._event = Column(np.int64, 0)
        self._ids = EventIds()
        self._recent = Lists(np.int32)
        self._newest = 0.0
        self.live_count = 0

    def reach(self) -> None:
        """Make room for every post met so far. Called by the fold, so that readers never change anything."""
        count = len(self._symbols)
        if count > self._author.count:
            for column in (
                self._author,
                self._created,
                self._deleted,
                self._withheld,
                self._event,
            ):
                column.reach(count)

    def create(self, post: int, author: int, ts: float, event_id: str) -> bool:
        """The post's own event. Given twice under two event ids, the smaller (ts, id) is the post.

        False if this one is not it. Amortised O(1); O(recent posts) when it comes late; O(posts) when it takes the
        post from an author at the cap.
        """
        self.reach()
        known = int(self._author[post])
        if known != UNKNOWN:
            if (ts, event_id) >= (float(self._created[post]), self._ids[int(self._event[post])]):
                return False
            self._leave(known, post)
        elif not self._deleted[post]:
            self.live_count += 1
        self._author[post] = author
        self._created[post] = ts
        self._event[post] = self._ids.append(event_id)
        self._enter(author, post, ts)
        return True

    def created_at(self, post: int) -> float | None:
        """When the post was made (s), None if its own event has not come. O(1)."""
        self.reach()
        return float(self._created[post]) if self._author[post] != UNKNOWN else None

    def delete(self, post: int) -> None:
        """For good, whatever comes later. O(1)."""
        self.reach()
        if not self._deleted[post]:
            self._deleted[post] = True
            self.live_count -= int(self._author[post] != UNKNOWN)

    def review(self, post: int, withheld: bool, ts: float, event_id: str) -> None:
        """Under review or rejected, or approved: the greatest (ts, id) decides. O(1)."""
        self.reach()
        if self._reviews.decide(post, 0, withheld, ts, event_id) is not None:
            self._withheld[post] = withheld

    def _enter(self, author: int, post: int, ts: float) -> None:
        """Into the author's recent posts, oldest first by (created, id)."""
        recent = self._recent.of(author)
        if len(recent) and ts <= self._created[int(recent[-1])]:
            at = bisect_left(recent.tolist(), self._order(post), key=self._order)
            self._recent.put(author, np.insert(recent, at, post))
        else:
            self._recent.append(author, post)
        self._newest = max(self._newest, ts)
        horizon = self._newest - self._retention_s
        recent = self._recent.of(author)
        surplus = max(0, len(recent) - self._per_author)
        while surplus < len(recent) and self._created[int(recent[surplus])] < horizon:
            surplus += 1
        if surplus:
            self._recent.put(author, recent[surplus:].copy())

    def _leave(self, author: int, post: int) -> None:
        """Out of the author's recent posts; what the cap had pushed out for it comes back."""
        full = len(self._recent.of(author)) >= self._per_author
        if self._recent.drop(author, post) < 0 or not full:
            return
        others = [other for other in np.flatnonzero(self._author.values == author).tolist() if other != post]
        self._recent.put(author, np.array(sorted(others, key=self._order)[-self._per_author :], np.int32))

    def _order(self, post: int) -> tuple[float, str]:
        return float(self._created[post]), self._symbols.name(post)

    def recent_of_all(self, authors: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Recent posts of several authors, author after author, each oldest first; and how many each has. Copies."""
        starts, every_count, values = self._recent.spans
        known = authors[authors < len(starts)]
        counts = np.zeros(len(authors), np.int32)
        counts[authors < len(starts)] = every_count[known]
        flat, _ = ragged(starts[known], every_count[known])
        posts: NDArray[np.int32] = values[flat]
        return posts, counts

    @property
    def recent(self) -> Spans:
        """Recent posts of every author, each oldest first; views until the next fold."""
        return self._recent.spans

    @property
    def author(self) -> NDArray[np.int32]:
        """Author by post; a view until the next fold."""
        return self._author.values

    @property
    def created(self) -> NDArray[np.float64]:
        """Seconds since the epoch by post; a view until the next fold."""
        return self._created.values

    @property
    def deleted(self) -> NDArray[np.bool_]:
        """By post; a view until the next fold."""
        return self._deleted.values

    @property
    def withheld(self) -> NDArray[np.bool_]:
        """Under review or rejected, by post; a view until the next fold."""
        return self._withheld.values
