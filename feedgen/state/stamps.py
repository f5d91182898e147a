"""When an event was, and its id: what decides between two events that set the same thing, in 8 bytes and the id's."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.deciding import ID_UNIT, keep_id
from feedgen.state.moments import EXACT, code_of, time_of


class Stamps(Composite):
    """Times and event ids behind codes of four bytes each; see moments.py. The id "" has the handle 0 and no bytes."""

    def __init__(self) -> None:
        self.exact = Column(np.float64)
        self.ids = Column(np.uint8, 0, ID_UNIT)

    def _parts(self) -> Mapping[str, Part]:
        return {"exact": self.exact, "ids": self.ids}

    def code(self, ts: float, before: int = 0) -> int:
        """The code of a time, `before` being what it replaces. Amortised O(1)."""
        code, self.exact.count = code_of(ts, self.exact.spare(1), self.exact.count, before)
        return int(code)

    def codes(self, ts: NDArray[np.float64]) -> NDArray[np.uint32]:
        """The codes of times that replace none. O(n)."""
        whole = (ts >= 0) & (ts < EXACT) & (np.floor(ts) == ts)
        found = np.where(whole, ts, 0).astype(np.uint32)
        others = np.flatnonzero(~whole)
        found[others] = np.arange(len(others), dtype=np.uint32) + np.uint32(EXACT + self.exact.count)
        self.exact.extend(ts[others])
        return found

    def time(self, code: int) -> float:
        """The time behind a code (s). O(1)."""
        return float(time_of(int(code), self.exact.spare(0)))

    def times(self, codes: NDArray[np.uint32]) -> NDArray[np.float64]:
        """The times behind codes (s). O(n)."""
        found = codes.astype(np.float64)
        others = np.flatnonzero(codes >= np.uint32(EXACT))
        found[others] = self.exact.values[codes[others] - np.uint32(EXACT)]
        return found

    def keep(self, event_id: str) -> int:
        """Keep an id; its handle. Amortised O(length)."""
        if not event_id:
            return 0
        data = np.frombuffer(event_id.encode("utf-8", "surrogatepass"), np.uint8)
        used = self.ids.count // ID_UNIT
        handle = keep_id(self.ids.spare(len(data) + ID_UNIT), used, data, 0, len(data), 0)
        self.ids.count += (len(data) // ID_UNIT + 1) * ID_UNIT
        return int(handle)

    def id(self, handle: int) -> str:
        """The id behind a handle. O(length)."""
        at = int(handle) * ID_UNIT
        return self.ids.values[at + 1 : at + 1 + int(self.ids[at])].tobytes().decode("utf-8", "surrogatepass")
