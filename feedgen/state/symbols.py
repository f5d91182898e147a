"""Outside ids ↔ dense indices, 24 bytes an id of 8 bytes. Dense indices never leave the process."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column, Composite, Part
from feedgen.state.hashing import EMPTY, enter_all, find_all, number_all, slot_of, write_numbers

_SMALLEST: Final = 16


class Names(NamedTuple):
    """Outside ids as UTF-8: id number i is `data[bounds[i]:bounds[i + 1]]`."""

    bounds: NDArray[np.int64]
    data: NDArray[np.uint8]


def encoded(names: Sequence[str]) -> Names:
    """Strings as UTF-8, one after the other. O(bytes)."""
    joined = "".join(names)
    raw = joined.encode("utf-8", "surrogatepass")
    if len(raw) == len(joined):
        lengths = np.fromiter(map(len, names), np.int64, len(names))
    else:
        each = (len(name.encode("utf-8", "surrogatepass")) for name in names)
        lengths = np.fromiter(each, np.int64, len(names))
    bounds = np.zeros(len(names) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return Names(bounds, np.frombuffer(raw, np.uint8))


class NameView(Sequence[str]):
    """The ids of a table by index; each is made a string when it is asked for. O(length) each."""

    __slots__ = ("_symbols",)

    def __init__(self, symbols: "Symbols") -> None:
        self._symbols = symbols

    def __len__(self) -> int:
        return len(self._symbols)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """Raises IndexError past the end."""
        if isinstance(index, slice):
            return [self._symbols.name(at) for at in range(len(self))[index]]
        return self._symbols.name(range(len(self))[index])


class Symbols(Composite):
    """Numbers ids 0, 1, 2 … in the order they are first met. The table is at most two thirds full.

    The seed of its hash is drawn, so that nobody can choose ids that all fall into one slot; no result depends on it.
    """

    def __init__(self) -> None:
        self._bounds = Column(np.int64, 0, 1)
        self._data = Column(np.uint8)
        self._slots = Column(np.int32, EMPTY, _SMALLEST)
        self._seed = Column(np.uint64, 0, 1)
        self._seed[0] = secrets.randbits(64)

    def _parts(self) -> Mapping[str, Part]:
        return {"bounds": self._bounds, "data": self._data, "slots": self._slots, "seed": self._seed}

    def __len__(self) -> int:
        return self._bounds.count - 1

    def intern(self, name: str) -> int:
        """The index of `name`, a new one if it was never met. O(length)."""
        known = self.find(name)
        return int(self.intern_many((name,))[0]) if known is None else known

    def intern_many(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The index of each. O(bytes), 0.2 µs a name; vectorised."""
        return self.intern_bytes(*encoded(names))

    def intern_bytes(self, bounds: NDArray[np.int64], data: NDArray[np.uint8]) -> NDArray[np.int32]:
        """The index of each name of an arena, see Names. O(bytes)."""
        count, more = len(self), len(bounds) - 1
        self._widen(count + more)
        numbers = np.empty(more, np.int32)
        room = self._bounds.spare(more), self._data.spare(int(bounds[-1] - bounds[0]))
        count = number_all(self._slots.values, *room, count, self._seed[0], bounds, data, numbers)
        self._bounds.count = count + 1
        self._data.count = int(room[0][count])
        return numbers

    def intern_numbered(self, prefix: str, count: int, first: int = 0) -> NDArray[np.int32]:
        """The index of each of prefix + `first`, …, prefix + `first + count − 1` (decimal). O(bytes)."""
        lead = np.frombuffer(prefix.encode("utf-8", "surrogatepass"), np.uint8)
        bounds = np.zeros(count + 1, np.int64)
        data = np.empty(count * (len(lead) + len(str(first + count))), np.uint8)
        write_numbers(first, lead, bounds, data)
        return self.intern_bytes(bounds, data)

    def _widen(self, count: int) -> None:
        """Have a table for so many names. Amortised O(1) a name."""
        size = len(self._slots.values)
        if 3 * count > 2 * size:
            while 3 * count > 2 * size:
                size *= 2
            self._slots = Column(np.int32, EMPTY, size)
            enter_all(self._slots.values, self._bounds.values, self._data.values, len(self), self._seed[0])

    def find(self, name: str) -> int | None:
        """The index of `name`, or None if it was never met. O(length)."""
        key = np.frombuffer(name.encode("utf-8", "surrogatepass"), np.uint8)
        slots = self._slots.values
        slot = slot_of(slots, self._bounds.values, self._data.values, self._seed[0], key, 0, len(key))
        index = int(slots[slot])
        return None if index == EMPTY else index

    def find_many(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The index of each, EMPTY (negative) for one that was never met. O(bytes)."""
        bounds, keys = encoded(names)
        numbers = np.empty(len(names), np.int32)
        find_all(self._slots.values, *self.encoded, self._seed[0], bounds, keys, numbers)
        return numbers

    def name(self, index: int) -> str:
        """The id behind an index. O(length)."""
        start, end = self._bounds[index], self._bounds[index + 1]
        return self._data.values[start:end].tobytes().decode("utf-8", "surrogatepass")

    def names_of(self, indices: NDArray[np.integer[Any]]) -> list[str]:
        """The ids behind indices. O(bytes); a tenth of the time of asking for one after the other."""
        bounds, data = self._bounds.values, self._data.values.data
        spans = zip(bounds[indices].tolist(), bounds[indices + 1].tolist(), strict=True)
        return [str(data[start:end], "utf-8", "surrogatepass") for start, end in spans]

    @property
    def names(self) -> "NameView":
        """All ids by index; goes with the table as it grows. O(1)."""
        return NameView(self)

    @property
    def encoded(self) -> Names:
        """All ids as bytes; views until the next fold. O(1)."""
        return Names(self._bounds.values, self._data.values)
