"""When viewers logged in last, and when they last did anything at all."""

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column


class Logins:
    """Seconds since the epoch by viewer; −inf for never."""

    def __init__(self) -> None:
        self._last = Column(np.float64, -np.inf)
        self._active = Column(np.float64, -np.inf)

    def login(self, viewer: int, ts: float) -> None:
        """Amortised O(1)."""
        self._last.reach(viewer + 1)
        if ts > self._last[viewer]:
            self._last[viewer] = ts

    def act(self, viewer: int, ts: float) -> None:
        """The viewer did something: whoever posts or likes is there, also where no logins are reported. O(1)."""
        self._active.reach(viewer + 1)
        if ts > self._active[viewer]:
            self._active[viewer] = ts

    def last(self, viewer: int) -> float:
        """The viewer's last login (s), −inf for none. O(1)."""
        return float(self._last[viewer]) if viewer < self._last.count else -np.inf

    def last_active(self, viewer: int) -> float:
        """When the viewer last did anything (s), −inf for never. O(1)."""
        return float(self._active[viewer]) if viewer < self._active.count else -np.inf

    def active_since(self, ts: float) -> NDArray[np.int64]:
        """Viewers who did anything at or after `ts`, by index; copies. O(viewers)."""
        return np.flatnonzero(self._active.values >= ts)
