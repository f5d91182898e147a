"""When each post was first and last engaged with in its favour, to the second; what was taken back since counts too."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column


class Touched:
    """Least and greatest ts (s) by post: the same in any order of events. 16 bytes a post."""

    def __init__(self) -> None:
        self._first = Column(np.float64, inf)
        self._last = Column(np.float64, -inf)

    def reach(self, count: int) -> None:
        """Make room for posts below `count`. Amortised O(1) a post."""
        self._first.reach(count)
        self._last.reach(count)

    def touch(self, post: int, ts: float) -> None:
        """Amortised O(1)."""
        if post >= self._first.count:
            self.reach(post + 1)
        if ts < self._first[post]:
            self._first[post] = ts
        if ts > self._last[post]:
            self._last[post] = ts

    @property
    def first(self) -> NDArray[np.float64]:
        """By post, inf where nobody engaged; a view until the next fold."""
        return self._first.values

    @property
    def last(self) -> NDArray[np.float64]:
        """By post, −inf where nobody engaged; a view until the next fold."""
        return self._last.values
