"""When viewers logged in last."""

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column


class Logins:
    """Last login by viewer, in seconds since the epoch; −inf for none."""

    def __init__(self) -> None:
        self._last = Column(np.float64, -np.inf)

    def login(self, viewer: int, ts: float) -> None:
        """Amortised O(1)."""
        self._last.reach(viewer + 1)
        if ts > self._last[viewer]:
            self._last[viewer] = ts

    def last(self, viewer: int) -> float:
        """The viewer's last login (s), −inf for none. O(1)."""
        return float(self._last[viewer]) if viewer < self._last.count else -np.inf

    def since(self, ts: float) -> NDArray[np.int64]:
        """Viewers whose last login is at or after `ts`, by index; copies. O(viewers)."""
        return np.flatnonzero(self._last.values >= ts)
