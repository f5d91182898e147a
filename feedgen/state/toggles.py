"""What can be switched on and off again (follow, block, like): the greatest (ts, id) decides, in any order."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.arena import Arena
from feedgen.state.columns import Column, Composite, Part
from feedgen.state.deciding import ID_UNIT, Decided, Events, Rows, Used, decide_all
from feedgen.state.lists import Spans
from feedgen.state.returning import HANDLE, mark_returned
from feedgen.state.stamps import Stamps
from feedgen.state.symbols import Names, encoded


class Toggles(Composite):
    """One switch per pair (left, right) of dense indices. An "off" stays as a tombstone, so that a late "on" does not
    undo it.

    The pairs of a left are a row, those that are on first, ascending by right. A pair takes 12 bytes, the id of the
    event that decided it (none for "", as bulk imports have it) and 8 more where its time is no whole second; a left
    takes 24 bytes; and see Arena for what is unused.
    """

    def __init__(self) -> None:
        self._right, self._time, self._event = Column(np.int32), Column(np.uint32), Column(np.uint32)
        self._arena = Arena(right=self._right, time=self._time, event=self._event)
        self._ons, self._offs = Column(np.int32), Column(np.int32)
        self._stamps = Stamps()

    def _parts(self) -> Mapping[str, Part]:
        return {"rows": self._arena, "ons": self._ons, "offs": self._offs, "stamps": self._stamps}

    def decide_many(
        self,
        left: NDArray[np.integer[Any]],
        right: NDArray[np.integer[Any]],
        on: NDArray[np.bool_],
        ts: NDArray[np.float64],
        ids: Sequence[str] | None,
    ) -> Decided:
        """Take events in, one after the other; what each did. About 0.3 µs an event, and O(row) to move the others.

        `ids` None: a bulk, whose events all have the id "" and so lose a tie; rows get no room to grow. Raises
        OverflowError, and takes nothing in, once the ids take 8 GiB.
        """
        count = len(left)
        decided = Decided(
            np.zeros(count, np.bool_), np.zeros(count, np.bool_), np.zeros(count, np.bool_), np.zeros(count)
        )
        if not count:
            return decided
        arena, stamps = self._arena, self._stamps
        for column in (arena, self._ons, self._offs):
            column.reach(int(left.max()) + 1)
        if ids is None:
            arena.reserve(np.bincount(left))
            names = Names(
                np.zeros(count + 1, np.int64), np.frombuffer(b"", np.uint8)
            )  # read-only, as `encoded`: one kernel
        else:
            names = encoded(ids)
        events = Events(left.astype(np.int64), right.astype(np.int32), on, ts, *names)
        exact = stamps.exact.spare(count)
        kept = stamps.ids.spare(len(names.data) + ID_UNIT * count)
        used = Used(arena.used, stamps.exact.count, stamps.ids.count // ID_UNIT, 0)
        if len(kept) // ID_UNIT > HANDLE:
            raise OverflowError("more than 8 GiB of event ids")
        while True:
            used = Used(*decide_all(self._rows(), exact, kept, events, decided, used))
            arena.used = used.entries
            if used.done == count:
                break
            arena.more()
            used = used._replace(entries=arena.used)
        stamps.exact.count, stamps.ids.count = used.exact, used.ids * ID_UNIT
        if ids is None:
            arena.tidy()
        return decided

    def _rows(self) -> Rows:
        arena = self._arena
        return Rows(
            *(arena.starts.values, self._ons.values, self._offs.values, arena.counts.values, arena.rooms.values),
            *(self._right.spare(0), self._time.spare(0), self._event.spare(0)),
        )

    def mark_returned(self, left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> None:
        """Of pairs that were switched, and of those the other way round, note in `returned` whether both are on.

        For lefts and rights that are numbered alike. O(log row) a pair.
        """
        if len(left):
            mark_returned(self._rows(), left.astype(np.int64), right.astype(np.int64))

    def is_on(self, left: int, right: int) -> bool:
        """Whether the switch is on. O(log row)."""
        row = self.ons(left)
        at = int(np.searchsorted(row, right))
        return at < len(row) and int(row[at]) == right

    def ons(self, left: int) -> NDArray[np.int32]:
        """What is on, ascending; a view until the next fold. O(1)."""
        return self._row(left)[0]

    def since(self, left: int) -> NDArray[np.float64]:
        """Since when each of `ons` is (s); a copy. O(row)."""
        return self._stamps.times(self._row(left)[1])

    def _row(self, left: int) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
        if left >= self._ons.count:
            return self._right.values[:0], self._time.values[:0]
        start = int(self._arena.starts[left])
        row = slice(start, start + int(self._ons[left]))
        return self._right.values[row], self._time.values[row]

    def entries(self, left: int) -> list[tuple[int, bool, float, str]]:
        """Every pair of a left: right, whether it is on, and the time and id of the event that decided it. O(row)."""
        if left >= self._ons.count:
            return []
        start, on = int(self._arena.starts[left]), int(self._ons[left])
        row = slice(start, start + int(self._arena.counts[left]))
        columns = self._right.values[row].tolist(), self._time.values[row].tolist(), self._event.values[row].tolist()
        return [
            (right, place < on, self._stamps.time(time), self._stamps.id(event & HANDLE))
            for place, (right, time, event) in enumerate(zip(*columns, strict=True))
        ]

    @property
    def spans(self) -> Spans:
        """What is on, by left; views until the next fold."""
        return Spans(self._arena.starts.values, self._ons.values, self._right.values)

    @property
    def returned(self) -> NDArray[np.uint32]:
        """Parallel to the values of `spans`: the bit RETURNED of each; a view until the next fold."""
        values: NDArray[np.uint32] = self._event.values
        return values

    @property
    def times(self) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """Codes parallel to the values of `spans`, and what moments.time_of needs; views until the next fold."""
        return self._time.values, self._stamps.exact.values
