"""Which posts have changed lately: for whoever keeps something by post, and brings it forward."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column

_MOST: Final = 1 << 20


class Changes:
    """Indices of posts, each at least once after it changed; the latest half a million or more. 4 bytes each."""

    def __init__(self) -> None:
        self._posts = Column(np.int32)
        self._start = 0

    def note(self, posts: NDArray[np.integer[Any]]) -> None:
        """These have changed. Amortised O(posts)."""
        if len(posts) > _MOST // 2:
            self.forget()
            return
        if self._posts.count + len(posts) > _MOST:
            kept = self._posts.values[-(_MOST // 2) :]
            self._start = self.end - len(kept)
            self._posts = Column(np.int32)
            self._posts.extend(kept)
        self._posts.extend(posts.astype(np.int32))

    def forget(self) -> None:
        """Anything may have changed."""
        self._start += self._posts.count + 1
        self._posts = Column(np.int32)

    @property
    def end(self) -> int:
        """A position to ask `since` from later."""
        return self._start + self._posts.count

    def since(self, position: int) -> NDArray[np.int32] | None:
        """What has changed since the position, each once; None where that is forgotten. O(n log n)."""
        if position < self._start:
            return None
        return np.unique(self._posts.values[position - self._start :])
