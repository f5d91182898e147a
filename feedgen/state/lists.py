"""Short lists of numbers, one for each owner, all in one arena: no Python object an owner, and readable by kernels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from feedgen.state.arena import Arena
from feedgen.state.columns import Arrays, Column, ragged
from feedgen.state.compiled import inner
from feedgen.state.rooms import append_all


class Spans(NamedTuple):
    """The list of owner o is `values[starts[o]:starts[o] + counts[o]]`; owners past the end have none."""

    starts: NDArray[np.int64]
    counts: NDArray[Any]
    values: NDArray[Any]


@inner
def list_of(spans: Spans, owner: int) -> NDArray[Any]:
    """The owner's list, for compiled functions; a view."""
    if owner >= len(spans.starts):
        return spans.values[:0]
    return spans.values[spans.starts[owner] : spans.starts[owner] + spans.counts[owner]]


class Lists:
    """Lists of one dtype by dense owner index: an entry, 16 bytes an owner, and what Arena leaves unused."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._values = Column(dtype)
        self._arena = Arena(values=self._values)

    def columns(self) -> Arrays:
        """See columns.Part."""
        return self._arena.columns()

    def restore(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """See columns.Part."""
        self._arena.restore(columns)

    def of(self, owner: int) -> NDArray[Any]:
        """The owner's list; a view until the next change. O(1)."""
        starts, counts, values = self.spans
        if owner >= len(starts):
            return values[:0]
        view: NDArray[Any] = values[starts[owner] : starts[owner] + counts[owner]]
        return view

    def of_all(self, owners: NDArray[np.integer[Any]]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The lists of several owners, one after the other, and the position of each entry's owner; copies."""
        starts, counts, values = self.spans
        known = np.flatnonzero(owners < len(starts))
        flat, row = ragged(starts[owners[known]], counts[owners[known]])
        return values[flat], known[row]

    def append_many(self, owners: NDArray[np.integer[Any]], values: NDArray[Any], *, bulk: bool = False) -> None:
        """Each value to the list of its owner. Amortised O(values). `bulk`: O(all owners) more, and no room to grow."""
        if not len(owners):
            return
        arena, done = self._arena, 0
        arena.reach(int(owners.max()) + 1)
        if bulk:
            arena.reserve(np.bincount(owners))
        while done < len(owners):
            lists = arena.starts.values, arena.counts.values, arena.rooms.values
            done, arena.used = append_all(*lists, self._values.spare(0), arena.used, owners, values, done)
            if done < len(owners):
                arena.more()
        if bulk:
            arena.tidy()

    def append(self, owner: int, value: int) -> None:
        """Amortised O(1)."""
        self.append_many(np.array([owner]), np.array([value], self._values.values.dtype))

    def put(self, owner: int, values: NDArray[Any]) -> None:
        """The owner's whole list anew. O(values)."""
        own = self.of(owner)
        if len(values) > len(own):
            self.append_many(np.full(len(values) - len(own), owner), np.zeros(len(values) - len(own), own.dtype))
        else:
            self._arena.reach(owner + 1)
            self._arena.counts[owner] = len(values)
        self.of(owner)[:] = values

    def clear(self, owners: NDArray[np.integer[Any]]) -> None:
        """Empty the lists of these owners; their room is used again. O(all owners), and O(entries) now and then."""
        self._arena.leave(owners)

    def drop(self, owner: int, value: int) -> bool:
        """Take the first such value out; whether it was there. O(n)."""
        own = self.of(owner)
        at = np.flatnonzero(own == value)
        if len(at):
            own[at[0] : -1] = own[at[0] + 1 :].copy()
            self._arena.counts[owner] = len(own) - 1
        return bool(len(at))

    @property
    def layout(self) -> int:
        """Another number each time lists were moved that nothing was added to."""
        return self._arena.layout

    @property
    def spans(self) -> Spans:
        """Everything, for kernels; views until the next change."""
        return Spans(self._arena.starts.values, self._arena.counts.values, self._values.values)
