"""Growable arrays, what state is kept in; and how a part of state is taken out and put back as arrays."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

SECONDS_PER_HOUR: Final = 3_600

Arrays = dict[str, NDArray[Any]]
"""By name: one-dimensional arrays that together are all that a part holds."""


class Part(Protocol):
    """What can be taken out as arrays and put back."""

    def columns(self) -> Arrays:
        """The whole content; views until the next fold. O(columns)."""
        ...

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take the content over: writable arrays are kept as they are, with the room behind them in a larger one that
        they are the beginning of; others are copied.

        Raises ValueError for a column that is missing, unknown, or of another type.
        """
        ...


class Column:
    """A numpy array that grows by half; unset entries hold `fill`. Entries are addressed by dense index."""

    __slots__ = ("_fill", "_values", "count")

    def __init__(self, dtype: DTypeLike, fill: float | bool = 0, count: int = 0) -> None:
        self._fill = fill
        self._values: NDArray[Any] = np.full(max(count, 16), fill, dtype)
        self.count = count

    def reach(self, count: int) -> None:
        """Make room for indices below `count`. Amortised O(1) an entry."""
        if count > self.count:
            self.spare(count - self.count)
            self._values[self.count : count] = self._fill
            self.count = count

    def spare(self, more: int) -> NDArray[Any]:
        """The whole array with room for `more` entries behind the last one; what is there is not set."""
        wanted = self.count + more
        if wanted > len(self._values):  # what is not written to yet takes no memory
            grown = np.empty(max(wanted, len(self._values) * 3 // 2), self._values.dtype)
            grown[: self.count] = self._values[: self.count]
            self._values = grown
        return self._values

    def trim(self) -> None:
        """Give back what is more than twice of what is used. O(entries) then."""
        if len(self._values) > 2 * max(self.count, 16):
            self._values = self.values.copy()

    def extend(self, values: NDArray[Any]) -> None:
        """Behind the last entry. Amortised O(values)."""
        self.spare(len(values))[self.count : self.count + len(values)] = values
        self.count += len(values)

    def __getitem__(self, index: int) -> Any:
        return self._values[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._values[index] = value

    @property
    def values(self) -> NDArray[Any]:
        """The first `count` entries; a view, valid until the next fold."""
        return self._values[: self.count]

    def columns(self) -> Arrays:
        """One column without a name of its own."""
        return {"": self.values}

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See Part."""
        values = columns[""]
        self._values = np.require(np.asarray(_with_room(values)), requirements=("C", "A", "W")).view(np.ndarray)
        self.count = len(values)


def _with_room(values: NDArray[Any]) -> NDArray[Any]:
    """The array that `values` is the beginning of, if it is one: what is mapped with room to grow is not copied."""
    whole: Any = values.base
    if not isinstance(whole, np.ndarray) or whole.ndim != 1 or whole.dtype != values.dtype:
        return values
    owner: Any = whole.base
    if owner is None or isinstance(owner, np.ndarray):  # another column's: its room is its own
        return values
    return whole if whole.ctypes.data == values.ctypes.data and len(whole) > len(values) else values


class Composite:
    """A part made of named parts."""

    def _parts(self) -> Mapping[str, Part]:
        raise NotImplementedError

    def columns(self) -> Arrays:
        """See Part. The names of the parts' columns, led by theirs and a point."""
        return {
            f"{name}.{column}" if column else name: values
            for name, part in self._parts().items()
            for column, values in part.columns().items()
        }

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See Part."""
        expected = self.columns()
        if different := sorted(expected.keys() ^ columns.keys()):
            raise ValueError(f"columns that are missing or unknown: {', '.join(different[:5])}")
        for name, values in columns.items():
            if values.dtype != expected[name].dtype or values.ndim != 1:
                raise ValueError(f"column {name} is {values.ndim} × {values.dtype}, not 1 × {expected[name].dtype}")
        for name, part in self._parts().items():
            own = {column[len(name) :].lstrip("."): values for column, values in columns.items()
                   if column == name or column.startswith(f"{name}.")}  # fmt: skip
            part.restore(own)


def ragged(
    starts: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions start … start + count − 1 of every row, one after the other, and the row of each. O(Σ counts)."""
    row = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts, dtype=np.int64) - counts
    return starts[row] + np.arange(len(row)) - before[row], row
