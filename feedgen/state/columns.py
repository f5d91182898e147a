"""Growable arrays: what state is kept in."""

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

SECONDS_PER_HOUR: Final = 3_600


class Column:
    """A numpy array that grows by doubling; unset entries hold `fill`. Entries are addressed by dense index."""

    __slots__ = ("_fill", "_values", "count")

    def __init__(self, dtype: DTypeLike, fill: float | bool) -> None:
        self._fill = fill
        self._values: NDArray[Any] = np.full(16, fill, dtype)
        self.count = 0

    def reach(self, count: int) -> None:
        """Make room for indices below `count`. Amortised O(1) an entry."""
        if count > len(self._values):
            grown = np.full(max(count, 2 * len(self._values)), self._fill, self._values.dtype)
            grown[: self.count] = self._values[: self.count]
            self._values = grown
        self.count = max(self.count, count)

    def __getitem__(self, index: int) -> Any:
        return self._values[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._values[index] = value

    @property
    def values(self) -> NDArray[Any]:
        """The first `count` entries; a view, valid until the next fold."""
        return self._values[: self.count]


class EventIds:
    """Event ids in one byte arena, numbered as they come; needed only to decide between events of the same ts."""

    __slots__ = ("_data", "_ends")

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q")

    def append(self, event_id: str) -> int:
        """Keep the id; returns its number. Amortised O(len)."""
        self._data += event_id.encode()
        self._ends.append(len(self._data))
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start = self._ends[number - 1] if number else 0
        return self._data[start : self._ends[number]].decode()


def copied(values: "array[int] | array[float]") -> NDArray[Any]:
    """A numpy copy of an array; a view would forbid the array to grow. O(n)."""
    return np.array(values, dtype=np.dtype(values.typecode))


def ragged(
    starts: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions start … start + count − 1 of every row, one after the other, and the row of each. O(Σ counts)."""
    row = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts, dtype=np.int64) - counts
    return starts[row] + np.arange(len(row)) - before[row], row
