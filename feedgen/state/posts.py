"""Posts in columns, and the recent ones of each author."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.changes import Changes
from feedgen.state.columns import Column, Composite, Part
from feedgen.state.lists import Lists, Spans
from feedgen.state.merging import merge_tails
from feedgen.state.stamps import Stamps
from feedgen.state.symbols import Symbols
from feedgen.state.tally import Tally
from feedgen.state.toggles import Toggles

UNKNOWN: Final = -1
_REVIEW_BITS: Final = 8
_DAY_S: Final = 86_400.0
_SLACK_S: Final = 3 * _DAY_S
"""Posts stay this much longer than they can be shown: the newest event may be dated a day ahead of now, and a reader
may page on through a feed that has been stale for a day, as of when it was made."""


class Posts(Composite):
    """Columns by dense post index; a post may be known by an engagement before its own event comes.

    `author`: int32, UNKNOWN until the post's own event; `created`: float64 seconds; `deleted`, `withheld`: bool. 26
    bytes a post and its event's id, 4 for what is recent; 32 an author; 44 for each post that was ever reviewed.
    """

    def __init__(self, symbols: Symbols, retention_s: float, per_author: int, changes: Changes) -> None:
        """An author's recent posts are the newest `per_author`.

        Those `retention_s` and three days older than the newest post of everyone leave when their author posts again:
        whoever reads an author's list sets the bound on `created`.
        """
        self._symbols = symbols
        self._changes = changes
        self.retention_s = retention_s
        """How old a post may be to be read."""
        self._per_author = per_author
        self._author = Column(np.int32, UNKNOWN)
        self._created = Column(np.float64)
        self._deleted = Column(np.bool_, False)
        self._withheld = Column(np.bool_, False)
        self._reviews = Toggles()  # of (post >> _REVIEW_BITS, post): few are reviewed, and a row is not for each post
        self._event = Column(np.uint32)
        self._ids = Stamps()
        self._recent = Lists(np.int32)
        self._newest = Column(np.float64, 0.0, 1)
        self.live_count = 0
        self.engaged = Tally(self._author, base=0)
        """Standing engagements in favour of each post, whatever their kind and time."""
        self.viewed = Tally(self._author, base=1)
        """How often each was seen, by anyone."""

    def _parts(self) -> Mapping[str, Part]:
        return {
            "author": self._author,
            "created": self._created,
            "deleted": self._deleted,
            "withheld": self._withheld,
            "reviews": self._reviews,
            "event": self._event,
            "ids": self._ids,
            "recent": self._recent,
            "newest": self._newest,
            "engaged": self.engaged,
            "viewed": self.viewed,
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See columns.Part."""
        super().restore(columns)
        self.live_count = int(np.count_nonzero((self.author != UNKNOWN) & ~self.deleted))

    def reach(self) -> None:
        """Make room for every post met so far. Called by the fold, so that readers never change anything."""
        count = len(self._symbols)
        if count > self._author.count:
            for column in (self._author, self._created, self._deleted, self._withheld, self._event):
                column.reach(count)
            self.engaged.reach(count)
            self.viewed.reach(count)

    def create_many(
        self,
        posts: NDArray[np.integer[Any]],
        authors: NDArray[np.integer[Any]],
        ts: NDArray[np.float64],
        ids: Sequence[str] | None,
    ) -> NDArray[np.bool_]:
        """The posts' own events. Given twice under two event ids, the smaller (ts, id) is the post.

        Which of them are the posts. Amortised O(posts); O(recent posts) for one that comes late; O(all posts) for one
        that takes the post from an author at the cap. `ids` None for a bulk: all are "".
        """
        self.reach()
        self._changes.note(posts)
        _, first = np.unique(posts, return_index=True)
        new = np.zeros(len(posts), np.bool_)
        new[first] = True
        new &= self._author.values[posts] == UNKNOWN
        won = new.copy()
        self._create_new(posts[new], authors[new], ts[new])
        if ids is not None:
            for at in np.flatnonzero(new).tolist():
                self._event[posts[at]] = self._ids.keep(ids[at])
        for at in np.flatnonzero(~new).tolist():
            event_id = "" if ids is None else ids[at]
            won[at] = self._claim(int(posts[at]), int(authors[at]), float(ts[at]), event_id)
        return won

    def _create_new(
        self, posts: NDArray[np.integer[Any]], authors: NDArray[np.integer[Any]], ts: NDArray[np.float64]
    ) -> None:
        """Posts nobody claimed before, each once."""
        if not len(posts):
            return
        self._author.values[posts] = authors
        self._created.values[posts] = ts
        self.engaged.claim(posts, authors)
        self.viewed.claim(posts, authors)
        self.live_count += int(np.count_nonzero(~self._deleted.values[posts]))
        self._newest[0] = max(float(self._newest[0]), float(ts.max()))
        order = np.lexsort((ts, authors))
        posts, authors, ts = posts[order].astype(np.int32), authors[order], ts[order]
        each, starts = np.unique(authors, return_index=True)
        behind = np.concatenate(([True], (authors[1:] != authors[:-1]) | (ts[1:] > ts[:-1])))
        last, counts, values = self._recent.spans
        known = np.flatnonzero(each < len(last))
        known = known[counts[each[known]] > 0]
        newest = self._created.values[values[last[each[known]] + counts[each[known]] - 1]]
        behind[starts[known]] = ts[starts[known]] > newest
        self._recent.append_many(authors, posts)
        out_of_turn = ~np.logical_and.reduceat(behind, starts)  # by author: not all belong behind what is there
        self._merge(each[out_of_turn], np.diff(np.append(starts, len(posts)))[out_of_turn])
        self._trim(each)

    def _merge(self, authors: NDArray[np.integer[Any]], added: NDArray[np.int64]) -> None:
        """So many posts, oldest first, were put behind the recent ones of each. O(recent posts)."""
        for author in authors[merge_tails(*self._recent.spans, self._created.values, authors, added)].tolist():
            self._recent.of(author)[:] = sorted(self._recent.of(author).tolist(), key=self._order)

    def _claim(self, post: int, author: int, ts: float, event_id: str) -> bool:
        """Take a post that is another's, or the author's own at another time, if this is the smaller (ts, id)."""
        known, handle = int(self._author[post]), int(self._event[post])
        if (ts, event_id) >= (float(self._created[post]), self._ids.id(handle)):
            return False
        self._leave(known, post)
        self._author[post] = author
        for tally in (self.engaged, self.viewed):
            tally.leave(post, known)
            tally.claim(np.array([post]), np.array([author]))
        self._created[post] = ts
        self._event[post] = self._ids.keep(event_id)
        self._newest[0] = max(float(self._newest[0]), ts)
        self._recent.append(author, post)
        self._merge(np.array([author]), np.array([1]))
        self._trim(np.array([author]))
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
            self._changes.note(np.array([post]))
            self.live_count -= int(self._author[post] != UNKNOWN)

    def review(self, post: int, withheld: bool, ts: float, event_id: str) -> None:
        """Under review or rejected, or approved: the greatest (ts, id) decides. O(posts reviewed near it)."""
        self.reach()
        keys = np.array([post >> _REVIEW_BITS]), np.array([post]), np.array([withheld])
        if self._reviews.decide_many(*keys, np.array([ts]), [event_id]).won[0]:
            self._withheld[post] = withheld
            self._changes.note(np.array([post]))

    def _trim(self, authors: NDArray[np.integer[Any]]) -> None:
        """Take out what is too many or too old. O(authors), and of those where something is, their recent posts."""
        starts, counts, values = self._recent.spans
        horizon = self._horizon
        over = (counts[authors] > self._per_author) | (self._created.values[values[starts[authors]]] < horizon)
        for author in authors[over].tolist():
            recent = self._recent.of(author)[-self._per_author :].copy()
            self._recent.put(author, recent[np.searchsorted(self._created.values[recent], horizon) :])

    @property
    def _horizon(self) -> float:
        """Posts from before it can be shown no more (s)."""
        return float(self._newest[0]) - (self.retention_s + _SLACK_S)

    def expired(self) -> NDArray[np.int64]:
        """Posts that can be shown no more, whatever `now` is; copies. O(all posts)."""
        found: NDArray[np.int64] = np.flatnonzero(
            (self._author.values != UNKNOWN) & (self._created.values < self._horizon)
        )
        return found

    def _leave(self, author: int, post: int) -> None:
        """Out of the author's recent posts; what the cap had pushed out for it comes back."""
        full = len(self._recent.of(author)) >= self._per_author
        if not self._recent.drop(author, post) or not full:
            return
        others = [other for other in np.flatnonzero(self._author.values == author).tolist() if other != post]
        self._recent.put(author, np.array(sorted(others, key=self._order)[-self._per_author :], np.int32))

    def _order(self, post: int) -> tuple[float, str]:
        return float(self._created[post]), self._symbols.name(post)

    def recent_of_all(self, authors: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Recent posts of several authors, author after author, each oldest first; and how many each has. Copies."""
        posts, owner = self._recent.of_all(authors)
        return posts, np.bincount(owner, minlength=len(authors)).astype(np.int32)

    @property
    def recent(self) -> Spans:
        """Recent posts of every author, each oldest first; views until the next fold."""
        return self._recent.spans

    @property
    def author(self) -> NDArray[np.int32]:
        """Author by post; a view until the next fold."""
        return self._author.values

    @property
    def newest_day(self) -> int:
        """Whole days since the epoch, of the newest post."""
        return int(self._newest[0] // _DAY_S)

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
