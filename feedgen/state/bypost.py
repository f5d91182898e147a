"""Rows under a post, read for many posts at once: an index sorted now and then, and a short one of what came since."""

import threading
from array import array
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import copied, ragged

_TAIL_SHARE: Final = 8
"""The long index is built anew once the rows behind it are an eighth of it: each row is sorted some ten times."""


class PostIndex(NamedTuple):
    """The rows of post p are those from `starts[p]` to `starts[p + 1]`; posts past the end have none."""

    starts: NDArray[np.int64]
    who: NDArray[np.int32]
    value: NDArray[np.uint32]


def _index(post: NDArray[np.int32], who: NDArray[np.int32], value: NDArray[np.uint32]) -> PostIndex:
    starts = np.zeros(int(post.max(initial=-1)) + 2, np.int64)
    np.cumsum(np.bincount(post, minlength=len(starts) - 1), out=starts[1:])
    order = np.argsort(post, kind="stable")
    return PostIndex(starts, who[order], value[order])


class Rows(NamedTuple):
    """Columns of one length, as they were appended; int64 each."""

    post: NDArray[np.int64]
    who: NDArray[np.int64]
    value: NDArray[np.int64]


class ByPost:
    """Append-only rows (post, who, value): int32, int32, uint32. 20 bytes a row, the index included."""

    def __init__(self) -> None:
        self._post = array("i")
        self._who = array("i")
        self._value = array("I")
        self._lock = threading.Lock()
        self._long = self._short = _index(*(np.empty(0, np.int32),) * 2, np.empty(0, np.uint32))
        self._reach = 0

    def __len__(self) -> int:
        return len(self._post)

    def append(self, post: int, who: int, value: int) -> None:
        """Amortised O(1)."""
        self._post.append(post)
        self._who.append(who)
        self._value.append(value)

    def of(self, posts: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int64], Rows]:
        """The rows of `posts`, in no order of meaning, and the position among them of each row's post; copies.

        O(rows found); the first read after rows were appended sorts those, O(new log new), and now and then all of
        them. Safe in several threads at once.
        """
        whos, values, places = [], [], []
        for index in self.indices:
            known = np.flatnonzero(posts < len(index.starts) - 1)
            at = posts[known]
            flat, row = ragged(index.starts[at], index.starts[at + 1] - index.starts[at])
            whos.append(index.who[flat].astype(np.int64))
            values.append(index.value[flat].astype(np.int64))
            places.append(known[row])
        place = np.concatenate(places)
        return place, Rows(posts[place].astype(np.int64), np.concatenate(whos), np.concatenate(values))

    @property
    def indices(self) -> tuple[PostIndex, PostIndex]:
        """All rows, in two parts: those sorted some time ago, and those since. Costs as `of` does."""
        with self._lock:
            return self._settled()

    def since(self, first: int) -> Rows:
        """The rows appended from number `first` on; copies. O(rows found)."""
        post, who, value = self._columns(first)
        return Rows(post.astype(np.int64), who.astype(np.int64), value.astype(np.int64))

    def _columns(self, first: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint32]]:
        return copied(self._post[first:]), copied(self._who[first:]), copied(self._value[first:])

    def _settled(self) -> tuple[PostIndex, PostIndex]:
        count, sorted_count = len(self._post), len(self._long.who)
        if count != self._reach:
            if count - sorted_count > sorted_count // _TAIL_SHARE:
                self._long = _index(*self._columns(0))
                sorted_count = count
            self._short = _index(*self._columns(sorted_count))
            self._reach = count
        return self._long, self._short
