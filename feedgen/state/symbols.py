"""Outside ids ↔ dense indices. Dense indices never leave the process."""

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import Column


class Names(NamedTuple):
    """Outside ids as UTF-8: id number i is `data[bounds[i]:bounds[i + 1]]`."""

    bounds: NDArray[np.int64]
    data: NDArray[np.uint8]


class Symbols:
    """Numbers ids 0, 1, 2 … in the order they are first met."""

    __slots__ = ("_bounds", "_data", "_index", "_lock", "_names")

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._names: list[str] = []
        self._lock = threading.Lock()
        self._bounds = Column(np.int64, 0)
        self._bounds.reach(1)
        self._data = Column(np.uint8, 0)

    def __len__(self) -> int:
        return len(self._names)

    def intern(self, name: str) -> int:
        """The index of `name`, a new one if it was never met. O(1)."""
        index = self._index.get(name)
        if index is None:
            index = self._index[name] = len(self._names)
            self._names.append(name)
        return index

    def find(self, name: str) -> int | None:
        """The index of `name`, or None if it was never met. O(1)."""
        return self._index.get(name)

    def name(self, index: int) -> str:
        """The id behind an index. O(1)."""
        return self._names[index]

    @property
    def names(self) -> list[str]:
        """All ids by index; shared, not to be changed."""
        return self._names

    @property
    def encoded(self) -> Names:
        """All ids as bytes; views until the next fold. O(ids met since it was last asked for)."""
        with self._lock:
            done = self._bounds.count - 1
            if done < len(self._names):
                fresh = [name.encode("utf-8", "surrogatepass") for name in self._names[done:]]
                start = self._data.count
                ends = start + np.cumsum(np.fromiter(map(len, fresh), np.int64, len(fresh)))
                self._data.reach(int(ends[-1]))
                self._data.values[start:] = np.frombuffer(b"".join(fresh), np.uint8)
                self._bounds.reach(len(self._names) + 1)
                self._bounds.values[done + 1 :] = ends
            return Names(self._bounds.values, self._data.values)
