"""What can be switched on and off again (follow, block, like): the greatest (ts, id) decides, in any order."""

from array import array
from typing import Final, NamedTuple

from feedgen.state.columns import EventIds


class Before(NamedTuple):
    """How a toggle stood before the event that won: `on` since `ts`."""

    on: bool
    ts: float


NEVER: Final = Before(False, 0.0)
"""Before the first event of a pair, whichever way it switched."""


class Toggles:
    """One switch per pair of dense indices. An "off" stays as a tombstone, so that a late "on" does not undo it."""

    __slots__ = ("_ids", "_later_id", "_on", "_slot", "_ts")

    def __init__(self) -> None:
        self._slot: dict[int, int] = {}
        self._ts = array("d")
        self._on = bytearray()
        self._ids = EventIds()  # of the first event of each slot
        self._later_id: dict[int, str] = {}  # of the one that stands, where it is another one: few switch twice

    def decide(self, left: int, right: int, on: bool, ts: float, event_id: str) -> Before | None:
        """Take the event in; how the switch stood before if this event is now the latest, else None. O(1)."""
        key = left << 32 | right
        slot = self._slot.get(key)
        if slot is None:
            self._slot[key] = len(self._ts)
            self._ts.append(ts)
            self._on.append(on)
            self._ids.append(event_id)
            return NEVER
        known = self._ts[slot]
        if ts < known or (ts == known and event_id <= self._id_of(slot)):
            return None
        before = Before(bool(self._on[slot]), known)
        self._ts[slot] = ts
        self._on[slot] = on
        self._later_id[slot] = event_id
        return before

    def _id_of(self, slot: int) -> str:
        later = self._later_id.get(slot)
        return self._ids[slot] if later is None else later

    def is_on(self, left: int, right: int) -> bool:
        """Whether the switch is on. O(1)."""
        slot = self._slot.get(left << 32 | right)
        return slot is not None and bool(self._on[slot])
