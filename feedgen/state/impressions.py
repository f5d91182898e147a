"""Which posts a viewer has seen, and which the viewer asked not to see."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.changes import Changes
from feedgen.state.columns import Composite, Part
from feedgen.state.lists import Lists, Spans
from feedgen.state.symbols import Symbols
from feedgen.state.tally import Tally

_DAY_S: Final = 86_400
_POST_MASK: Final = (1 << 32) - 1


class LatestPosts(Composite):
    """Posts as int64 (UTC day << 32 | post) per viewer, the latest kept; at most 2 × `per_viewer` and one fold's."""

    def __init__(self, posts: Symbols, days: float, per_viewer: int) -> None:
        """`posts`: their outside ids, which decide who stays among those of the same day."""
        self._posts = posts
        self._days = days
        self._per_viewer = per_viewer
        self._packed = Lists(np.int64)

    def _parts(self) -> Mapping[str, Part]:
        return {"packed": self._packed}

    def add_many(
        self,
        viewers: NDArray[np.integer[Any]],
        posts: NDArray[np.integer[Any]],
        ts: NDArray[np.float64],
        *,
        bulk: bool = False,
    ) -> None:
        """Viewer, post and time of each. Amortised O(posts)."""
        packed = (ts // _DAY_S).astype(np.int64) << 32 | posts
        self._packed.append_many(viewers, packed, bulk=bulk)
        counts = self._packed.spans.counts
        full = np.flatnonzero(counts > 2 * self._per_viewer) if bulk else np.unique(viewers)
        for viewer in full[counts[full] > 2 * self._per_viewer].tolist():
            self._packed.put(viewer, self._latest(self._packed.of(viewer)))

    def _latest(self, packed: NDArray[np.int64]) -> NDArray[np.int64]:
        """Each post once, at its last day; of these the latest `per_viewer`, by day, ties by outside id."""
        latest = np.unique(packed)[::-1]
        _, first = np.unique(latest & _POST_MASK, return_index=True)
        kept: NDArray[np.int64] = latest[np.sort(first)]
        if len(kept) > self._per_viewer:
            days = kept >> 32
            tied = days == days[self._per_viewer]
            kept[tied] = sorted(kept[tied].tolist(), key=lambda packed: self._posts.name(packed & _POST_MASK))
        return kept[: self._per_viewer]

    def of(self, viewer: int, now: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Posts of today (UTC) or of the `days` days before, each once, and its last day; copies. O(n log n)."""
        every = self._packed.of(viewer)
        if not len(every):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        latest = self._latest(every[every >= self.since(now)])
        return latest & _POST_MASK, latest >> 32

    def posts_of(self, viewer: int, now: float) -> NDArray[np.int64]:
        """The posts of `of`, in any order and some of them twice; copies. O(n), but for more than `per_viewer`."""
        every = self._packed.of(viewer)
        lately = every[every >= self.since(now)]
        return (lately if len(lately) <= self._per_viewer else self._latest(lately)) & _POST_MASK

    def since(self, now: float) -> int:
        """The least entry that is not too old to count at `now` (s)."""
        return int(now // _DAY_S - self._days) << 32

    @property
    def spans(self) -> Spans:
        """All entries of all viewers, as they came; views until the next fold."""
        return self._packed.spans


class Impressions(Composite):
    """`seen`: reported by the client as viewed. `served`: sent to the client, which may not have shown it.

    8 bytes for each post of a viewer's, and 48 a viewer; what Lists leave unused.
    """

    def __init__(self, posts: Symbols, days: float, per_viewer: int, viewed: Tally, views: Changes) -> None:
        """`viewed`: where what is seen is counted; `views`: where it is noted."""
        self.seen = LatestPosts(posts, days, per_viewer)
        self.served = LatestPosts(posts, days, per_viewer)
        self._viewed = viewed
        self._views = views
        self._hidden = Lists(np.int32)

    def _parts(self) -> Mapping[str, Part]:
        return {"seen": self.seen, "served": self.served, "hidden": self._hidden}

    def see_many(
        self,
        viewers: NDArray[np.integer[Any]],
        posts: NDArray[np.integer[Any]],
        ts: NDArray[np.float64],
        *,
        bulk: bool = False,
    ) -> None:
        """Viewers saw posts. Amortised O(posts)."""
        if not len(posts):
            return
        self.seen.add_many(viewers, posts, ts, bulk=bulk)
        self._viewed.add(posts, np.ones(len(posts), np.int32))
        self._views.note(posts)

    def hide(self, viewer: int, post: int) -> None:
        """The viewer hid, reported or was not interested in the post. O(hidden)."""
        if post not in self._hidden.of(viewer):
            self._hidden.append(viewer, post)

    def views(self, posts: int) -> NDArray[np.int64]:
        """How often each post was seen, by anyone; a copy of `posts` entries. O(posts)."""
        counts = np.zeros(posts, np.int64)
        counts[: len(self._viewed.by_post)] = self._viewed.by_post
        return counts

    def hidden_from(self, viewer: int) -> NDArray[np.int64]:
        """Posts the viewer does not want to see, ascending; copies."""
        return np.sort(self._hidden.of(viewer)).astype(np.int64)

    @property
    def hidden(self) -> Spans:
        """Posts each viewer does not want to see; views until the next fold."""
        return self._hidden.spans
