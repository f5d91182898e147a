"""Rooms of many owners in one arena of parallel columns: made wider, laid out for a bulk, closed up."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.rooms import carry_out, carry_up, close_up, lay_out

_WASTE: Final = 4
"""Once a quarter of the arena lies in rooms that were left, the others close up before it grows."""


class Arena(Composite):
    """Columns over which owners have rooms. A list that outgrows its room moves to one half as large again.

    So at most a third of a room and a quarter of the arena are unused, and nothing after `close_up`.
    """

    def __init__(self, **columns: Column) -> None:
        self.starts = Column(np.int64)
        self.counts = Column(np.int32)
        self.rooms = Column(np.int32)
        self.values = columns
        self.layout = 0
        """Another number each time rooms move that nothing was added to."""

    def _parts(self) -> Mapping[str, Part]:
        return {"starts": self.starts, "counts": self.counts, "rooms": self.rooms, **self.values}

    @property
    def used(self) -> int:
        """Entries that lie in rooms, or did."""
        return next(iter(self.values.values())).count

    @used.setter
    def used(self, count: int) -> None:
        for column in self.values.values():
            column.count = count

    def reach(self, owners: int) -> None:
        """Have rows for the owners below. Amortised O(1) an owner."""
        for column in (self.starts, self.counts, self.rooms):
            column.reach(owners)

    def more(self) -> None:
        """Room for more entries at the end: what closing up gives, or half the arena. Amortised O(1) an entry."""
        if self.tidy():
            return
        for column in self.values.values():
            capacity = len(column.spare(0))
            column.spare(capacity - column.count + max(64, capacity // 2))

    def reserve(self, extra: NDArray[np.integer[Any]]) -> None:
        """Rooms that just hold `extra` (by owner) more, where they do not yet. O(owners + entries carried)."""
        self.tidy()
        self.layout += 1
        self.reach(len(extra))
        wanted = np.where(extra > 0, self.counts.values[: len(extra)] + extra, 0).astype(np.int32)
        lacking = wanted > self.rooms.values[: len(extra)]
        for column in self.values.values():
            column.spare(int(wanted[lacking].sum(dtype=np.int64)))
        moves = np.empty((np.count_nonzero(lacking), 2), np.int64)
        _, used = lay_out(self.starts.values, self.rooms.values, wanted, self.used, moves)
        for column in self.values.values():
            carry_out(column.spare(0), self.starts.values, self.counts.values, moves)
        self.used = used

    def leave(self, owners: NDArray[np.integer[Any]]) -> None:
        """Empty the rooms of these owners, and leave them. O(all owners), and O(entries) where that closes up."""
        self.counts.values[owners], self.rooms.values[owners] = 0, 0
        self.tidy()

    def tidy(self) -> bool:
        """Close up where much lies in rooms that were left; whether it did. O(owners) where not."""
        wasteful = self.used - int(self.rooms.values.sum(dtype=np.int64)) > self.used // _WASTE
        if wasteful:
            self.close_up()
        return wasteful

    def close_up(self) -> None:
        """No room wider than its list, and none between them. O(owners log owners + entries)."""
        self.layout += 1
        before = self.starts.values.copy()
        order = np.argsort(before, kind="stable")
        order = order[self.counts.values[order] > 0]
        self.rooms.values[:] = 0
        used = close_up(self.starts.values, self.counts.values, self.rooms.values, order)
        for column in self.values.values():
            carry_up(column.spare(0), before, self.starts.values, self.counts.values, order)
            column.count = used
            column.trim()
