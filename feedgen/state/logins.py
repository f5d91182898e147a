"""When viewers logged in last, and when they last did anything at all."""

from array import array
from math import inf

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import copied


class Logins:
    """Seconds since the epoch by viewer; −inf for never."""

    def __init__(self) -> None:
        # array, not numpy: every event of the log comes by here, and an entry costs a fifth to read and write
        self._last = array("d")
        self._active = array("d")

    def login(self, viewer: int, ts: float) -> None:
        """Amortised O(1)."""
        _raise(self._last, viewer, ts)

    def act(self, viewer: int, ts: float) -> None:
        """The viewer did something: whoever posts or likes is there, also where no logins are reported. O(1)."""
        _raise(self._active, viewer, ts)

    def last(self, viewer: int) -> float:
        """The viewer's last login (s), −inf for none. O(1)."""
        return self._last[viewer] if viewer < len(self._last) else -inf

    def last_active(self, viewer: int) -> float:
        """When the viewer last did anything (s), −inf for never. O(1)."""
        return self._active[viewer] if viewer < len(self._active) else -inf

    def active_since(self, ts: float) -> NDArray[np.int64]:
        """Viewers who did anything at or after `ts`, by index; copies. O(viewers)."""
        return np.flatnonzero(copied(self._active) >= ts)


def _raise(times: "array[float]", viewer: int, ts: float) -> None:
    if viewer >= len(times):
        times.extend([-inf] * (viewer + 1 - len(times)))
    if ts > times[viewer]:
        times[viewer] = ts
