"""Which posts a viewer has seen, and which the viewer asked not to see."""

from array import array
from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import copied
from feedgen.state.symbols import Symbols

_DAY_S: Final = 86_400
_POST_MASK: Final = (1 << 32) - 1


class Impressions:
    """Seen posts as int64 (UTC day << 32 | post) per viewer, the latest kept; at most 2 × `per_viewer` and one view."""

    def __init__(self, posts: Symbols, seen_days: float, per_viewer: int) -> None:
        """`posts`: their outside ids, which decide who stays among those seen on the same day."""
        self._posts = posts
        self._seen_days = seen_days
        self._per_viewer = per_viewer
        self._seen: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
        self._hidden: defaultdict[int, set[int]] = defaultdict(set)

    def see(self, viewer: int, posts: list[int], ts: float) -> None:
        """The viewer saw these posts. Amortised O(posts)."""
        day = int(ts // _DAY_S) << 32
        seen = self._seen[viewer]
        seen.extend([day | post for post in posts])
        if len(seen) > 2 * self._per_viewer:
            self._seen[viewer] = array("q", self._latest(copied(seen)).tobytes())

    def _latest(self, seen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Each post once, at its last day; of these the latest `per_viewer`, by day, ties by outside id."""
        latest = np.unique(seen)[::-1]
        _, first = np.unique(latest & _POST_MASK, return_index=True)
        kept: NDArray[np.int64] = latest[np.sort(first)]
        if len(kept) > self._per_viewer:
            days = kept >> 32
            tied = days == days[self._per_viewer]
            kept[tied] = sorted(kept[tied].tolist(), key=lambda packed: self._posts.name(packed & _POST_MASK))
        return kept[: self._per_viewer]

    def hide(self, viewer: int, post: int) -> None:
        """The viewer hid, reported or was not interested in the post. O(1)."""
        self._hidden[viewer].add(post)

    def seen_by(self, viewer: int, now: float) -> NDArray[np.int64]:
        """Posts seen today (UTC) or on the `seen_days` days before, each once; copies. O(n log n)."""
        seen = self._seen.get(viewer)
        if seen is None:
            return np.empty(0, np.int64)
        since = int(now // _DAY_S - self._seen_days) << 32
        packed = copied(seen)
        return self._latest(packed[packed >= since]) & _POST_MASK

    def hidden_from(self, viewer: int) -> NDArray[np.int64]:
        """Posts the viewer does not want to see, ascending; copies."""
        return np.array(sorted(self._hidden.get(viewer, ())), np.int64)
