"""Rows under a post, read for many posts at once: an index sorted now and then, and a short one of what came since."""

import threading
from array import array
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.state.columns import copied, ragged

_TAIL_SHARE: Final = 8
"""The long index is built anew once the rows behind it are an eighth of it: each row is sorted some ten times."""


class _Index(NamedTuple):
    """The rows of post p are `rows[starts[p]:starts[p + 1]]`."""

    starts: NDArray[np.int64]
    rows: NDArray[np.int64]


def _index(keys: NDArray[np.int32], first: int, posts: int) -> _Index:
    starts = np.zeros(posts + 1, np.int64)
    np.cumsum(np.bincount(keys, minlength=posts), out=starts[1:])
    return _Index(starts, np.argsort(keys, kind="stable") + first)


class Rows(NamedTuple):
    """Columns of one length, as they were appended; int64 each."""

    post: NDArray[np.int64]
    who: NDArray[np.int64]
    value: NDArray[np.int64]


class ByPost:
    """Append-only rows (post, who, value): int32, int32, int64. 20 bytes a row, the index included."""

    def __init__(self) -> None:
        self._post = array("i")
        self._who = array("i")
        self._value = array("q")
        self._lock = threading.Lock()
        self._long = self._short = _index(np.empty(0, np.int32), 0, 0)
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
        with self._lock:
            indices = self._settled()
        found, places = [], []
        for starts, rows in indices:
            known = np.flatnonzero(posts < len(starts) - 1)
            at = posts[known]
            flat, row = ragged(starts[at], starts[at + 1] - starts[at])
            found.append(rows[flat])
            places.append(known[row])
        row, place = np.concatenate(found), np.concatenate(places)
        # Views of arrays that only the fold lets grow, and no longer than this line: a view would forbid it.
        who, value = np.frombuffer(self._who, np.int32)[row], np.frombuffer(self._value, np.int64)[row]
        return place, Rows(posts[place].astype(np.int64), who.astype(np.int64), value)

    def since(self, first: int) -> Rows:
        """The rows appended from number `first` on; copies. O(rows found)."""
        post, who, value = copied(self._post[first:]), copied(self._who[first:]), copied(self._value[first:])
        return Rows(post.astype(np.int64), who.astype(np.int64), value)

    def _settled(self) -> tuple[_Index, _Index]:
        count, sorted_count = len(self._post), len(self._long.rows)
        if count != self._reach:
            if count - sorted_count > sorted_count // _TAIL_SHARE:
                keys = copied(self._post)
                self._long = _index(keys, 0, int(keys.max()) + 1)
                sorted_count = count
            tail = copied(self._post[sorted_count:])
            self._short = _index(tail, sorted_count, int(tail.max()) + 1 if len(tail) else 0)
            self._reach = count
        return self._long, self._short
