"""When viewers logged in last, and when they last did anything at all."""

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part


class Logins(Composite):
    """Seconds since the epoch by viewer; −inf for never. 16 bytes a viewer."""

    def __init__(self) -> None:
        self._last = Column(np.float64, -inf)
        self._active = Column(np.float64, -inf)

    def _parts(self) -> Mapping[str, Part]:
        return {"last": self._last, "active": self._active}

    def login_many(self, viewers: NDArray[np.integer[Any]], ts: NDArray[np.float64]) -> None:
        """O(events)."""
        _raise(self._last, viewers, ts)

    def act_many(self, viewers: NDArray[np.integer[Any]], ts: NDArray[np.float64]) -> None:
        """They did something: whoever posts or likes is there, also where no logins are reported. O(events)."""
        _raise(self._active, viewers, ts)

    def last(self, viewer: int) -> float:
        """The viewer's last login (s), −inf for none. O(1)."""
        return float(self._last[viewer]) if viewer < self._last.count else -inf

    def last_of(self, viewers: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """`last` of each. O(viewers)."""
        found = np.full(len(viewers), -inf)
        known = viewers < self._last.count
        found[known] = self._last.values[viewers[known]]
        return found

    def last_active(self, viewer: int) -> float:
        """When the viewer last did anything (s), −inf for never. O(1)."""
        return float(self._active[viewer]) if viewer < self._active.count else -inf

    def active_since(self, ts: float) -> NDArray[np.int64]:
        """Viewers who did anything at or after `ts`, by index; copies. O(viewers)."""
        return np.flatnonzero(self._active.values >= ts)


def _raise(times: Column, viewers: NDArray[np.integer[Any]], ts: NDArray[np.float64]) -> None:
    if len(viewers):
        times.reach(int(viewers.max()) + 1)
        np.maximum.at(times.values, viewers, ts)
