"""When each post was first and last engaged with in its favour, to the second; what was taken back since counts too."""

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part


class Touched(Composite):
    """Least and greatest ts (s) by post: the same in any order of events. 16 bytes a post."""

    def __init__(self) -> None:
        self._first = Column(np.float64, inf)
        self._last = Column(np.float64, -inf)

    def _parts(self) -> Mapping[str, Part]:
        return {"first": self._first, "last": self._last}

    def reach(self, count: int) -> None:
        """Make room for posts below `count`. Amortised O(1) a post."""
        self._first.reach(count)
        self._last.reach(count)

    def touch(self, posts: NDArray[np.integer[Any]], ts: NDArray[np.float64]) -> None:
        """Amortised O(posts)."""
        if len(posts):
            self.reach(int(posts.max()) + 1)
            np.minimum.at(self._first.values, posts, ts)
            np.maximum.at(self._last.values, posts, ts)

    @property
    def first(self) -> NDArray[np.float64]:
        """By post, inf where nobody engaged; a view until the next fold."""
        return self._first.values

    @property
    def last(self) -> NDArray[np.float64]:
        """By post, −inf where nobody engaged; a view until the next fold."""
        return self._last.values
