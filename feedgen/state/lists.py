"""Short lists of numbers, one for each owner, all in one arena: no Python object an owner, and readable by kernels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from feedgen.state.columns import Column

_SMALLEST = 4


class Spans(NamedTuple):
    """The list of owner o is `values[starts[o]:starts[o] + counts[o]]`; owners past the end have none."""

    starts: NDArray[np.int64]
    counts: NDArray[np.int32]
    values: NDArray[Any]


class Lists:
    """Lists of one dtype by dense owner index. A list that outgrows its room moves to one twice as large.

    Rooms that were left are given to other lists, so that at most half of the arena is unused.
    """

    __slots__ = ("_counts", "_free", "_rooms", "_starts", "_values")

    def __init__(self, dtype: DTypeLike) -> None:
        self._starts = Column(np.int64, 0)
        self._counts = Column(np.int32, 0)
        self._rooms = Column(np.int32, 0)
        self._values = Column(dtype, 0)
        self._free: dict[int, list[int]] = {}

    def of(self, owner: int) -> NDArray[Any]:
        """The owner's list; a view until the next change. O(1)."""
        if owner >= self._counts.count:
            return self._values.values[:0]
        start = int(self._starts[owner])
        view: NDArray[Any] = self._values.values[start : start + int(self._counts[owner])]
        return view

    def append(self, owner: int, value: float) -> None:
        """Amortised O(1)."""
        count = int(self._counts[owner]) if owner < self._counts.count else 0
        self._make_room(owner, count + 1)
        self._values[int(self._starts[owner]) + count] = value
        self._counts[owner] = count + 1

    def extend(self, owner: int, values: Sequence[int]) -> None:
        """Amortised O(values)."""
        count = int(self._counts[owner]) if owner < self._counts.count else 0
        self._make_room(owner, count + len(values))
        start = int(self._starts[owner]) + count
        self._values.values[start : start + len(values)] = values
        self._counts[owner] = count + len(values)

    def put(self, owner: int, values: NDArray[Any]) -> None:
        """The owner's whole list anew. O(values)."""
        self._make_room(owner, len(values))
        start = int(self._starts[owner])
        self._values.values[start : start + len(values)] = values
        self._counts[owner] = len(values)

    def drop(self, owner: int, value: float) -> int:
        """Take the first such value out; where it stood, −1 if it was not there. O(n)."""
        own = self.of(owner)
        at = np.flatnonzero(own == value)
        if not len(at):
            return -1
        self.drop_at(owner, int(at[0]))
        return int(at[0])

    def drop_at(self, owner: int, at: int) -> None:
        """Take out what stands at a place. O(n)."""
        own = self.of(owner)
        own[at:-1] = own[at + 1 :].copy()
        self._counts[owner] = len(own) - 1

    def _make_room(self, owner: int, count: int) -> None:
        if owner >= self._rooms.count:
            for column in (self._starts, self._counts, self._rooms):
                column.reach(owner + 1)
        room = int(self._rooms[owner])
        if count <= room:
            return
        wanted = max(_SMALLEST, 1 << (count - 1).bit_length())
        free = self._free.get(wanted)
        if free:
            start = free.pop()
        else:
            start = self._values.count
            self._values.reach(start + wanted)
        if room:
            before, kept = int(self._starts[owner]), int(self._counts[owner])
            values = self._values.values
            values[start : start + kept] = values[before : before + kept]
            self._free.setdefault(room, []).append(before)
        self._starts[owner] = start
        self._rooms[owner] = wanted

    @property
    def spans(self) -> Spans:
        """Everything, for kernels; views until the next change."""
        return Spans(self._starts.values, self._counts.values, self._values.values)
