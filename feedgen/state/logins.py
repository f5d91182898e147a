"""When viewers logged in last, on what, and when they last did anything at all."""

from collections.abc import Mapping
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part

DEVICES: Final = ("phone", "tablet", "computer", "tv", "watch", "car", "other")
"""What a login may be made on; any other name is an `other`. The code of one is its place here and 1; 0 is not said."""


def device_code(name: str | None) -> int:
    """O(1)."""
    if not name:
        return 0
    return DEVICES.index(name if name in DEVICES else "other") + 1


class Logins(Composite):
    """Seconds since the epoch by viewer, −inf for never; and a device. 17 bytes a viewer."""

    def __init__(self) -> None:
        self._last = Column(np.float64, -inf)
        self._device = Column(np.uint8)
        self._active = Column(np.float64, -inf)

    def _parts(self) -> Mapping[str, Part]:
        return {"last": self._last, "device": self._device, "active": self._active}

    def login_many(
        self, viewers: NDArray[np.integer[Any]], ts: NDArray[np.float64], devices: NDArray[np.uint8] | None = None
    ) -> None:
        """`devices`: codes; None for nothing said. Of two logins of one moment the greater code counts. O(events)."""
        if not len(viewers):
            return
        self._last.reach(int(viewers.max()) + 1)
        self._device.reach(self._last.count)
        before = self._last.values[viewers]
        _raise(self._last, viewers, ts)
        last = self._last.values[viewers]
        self._device.values[viewers[last > before]] = 0
        if devices is not None:
            latest = ts == last
            np.maximum.at(self._device.values, viewers[latest], devices[latest])

    def act_many(self, viewers: NDArray[np.integer[Any]], ts: NDArray[np.float64]) -> None:
        """They did something: whoever posts or likes is there, also where no logins are reported. O(events)."""
        _raise(self._active, viewers, ts)

    def last(self, viewer: int) -> float:
        """The viewer's last login (s), −inf for none. O(1)."""
        return float(self._last[viewer]) if viewer < self._last.count else -inf

    def device(self, viewer: int) -> int:
        """Code of what the viewer last logged in on, 0 where it was not said. O(1)."""
        return int(self._device[viewer]) if viewer < self._device.count else 0

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
