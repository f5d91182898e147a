"""Features of posts that all viewers of an hour share: found by the first who needs them, kept for the others."""

import numpy as np
from numpy.typing import NDArray

from feedgen.state.changes import Changes
from feedgen.state.columns import Column

WIDTH = 2
"""engagement and momentum, as ranking.features has them."""


class Talk:
    """By post; NaN until it is put there, and again after the post has changed. 16 bytes a post."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._hour = -1
        self._position = 0
        self._values = Column(np.float64, np.nan)

    def at(self, hour: int, posts: int) -> NDArray[np.float64]:
        """Shape (posts, WIDTH), a view until the next fold, for all to read and write. O(changes); O(posts) where the
        hour is another. What another hour was given stays as it is."""
        changed = self._changes.since(self._position) if hour == self._hour else None
        if changed is None:
            self._hour, self._values = hour, Column(np.float64, np.nan)
        self._values.reach(posts * WIDTH)
        found: NDArray[np.float64] = self._values.values.reshape(-1, WIDTH)
        if changed is not None:
            found[changed] = np.nan
        self._position = self._changes.end
        return found[:posts]
