"""Rows of posts that are the same for most viewers of a moment, so that they are made once."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.prefetch import prefetch
from feedgen.ranking.groups.compiled import inner

PLACES: Final = 1 << 16
"""A power of two. A post has one, by its index; of two that share it the later one stays. Posts of one time share none.
"""
BIN, HOURS, LANGUAGE, LOCATION, NUMBER = range(5)
"""Of `codes`: the bin (columns.delay_bin) and the whole hours of the post's age, and what the post says; and the number
of its author among those of the viewer's candidates, which is not kept."""
CODES: Final = 5
_LINE: Final = 16
"""Numbers to a line of the cache."""


class Kept(NamedTuple):
    """By place: `key`, which post of which moment is there (0: none); `codes`, shape (places, CODES − 1); `rows`, shape
    (places, columns), as they are for whoever did nothing with any of the author's posts."""

    key: NDArray[np.int64]
    codes: NDArray[np.int32]
    rows: NDArray[np.float32]


def room_to_keep(places: int, columns: int) -> Kept:
    """With nothing in it. For PLACES and a hundred columns 30 MB a thread."""
    shape = places, columns
    return Kept(np.zeros(places, np.int64), np.empty((places, CODES - 1), np.int32), np.empty(shape, np.float32))


@inner
def key_of(moment: int, post: int) -> int:
    """`moment`: a number from 1 up, another one for another moment or epoch."""
    return moment << 32 | post


@inner
def _copy(source: NDArray[Any], begin: int, target: NDArray[Any], first: int, count: int) -> None:
    for at in range(count):
        target[first + at] = source[begin + at]


@inner
def keep(
    kept: Kept,
    moment: int,
    post: int,
    codes: NDArray[np.int32],
    out: NDArray[np.float32],
    row: int,
    first: int,
) -> None:
    """A row of `codes`, and of `out` the columns from `first` on."""
    place = post & (len(kept.key) - 1)
    kept.key[place] = key_of(moment, post)
    _copy(codes[row], 0, kept.codes[place], 0, CODES - 1)
    _copy(out[row], first, kept.rows[place], 0, kept.rows.shape[1])


@inner
def fetch(
    kept: Kept,
    posts: NDArray[np.int32],
    which: NDArray[np.bool_],
    codes: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """What `keep` kept, of posts whose author's number is in `which`. O(posts)."""
    columns, mask = kept.rows.shape[1], len(kept.key) - 1
    for row in range(len(posts)):
        if which[codes[row, NUMBER]]:
            place = posts[row] & mask
            _copy(kept.codes[place], 0, codes[row], 0, CODES - 1)
            _copy(kept.rows[place], 0, out[row], first, columns)


@inner
def unkept_of(
    kept: Kept, moment: int, posts: NDArray[np.int32], codes: NDArray[np.int32], unkept: NDArray[np.bool_]
) -> None:
    """Mark the numbers of authors with a post whose row is not there; fetch the rows of the others. O(posts)."""
    rows, mask = kept.rows, len(kept.key) - 1
    for row in range(len(posts)):
        place = posts[row] & mask
        unkept[codes[row, NUMBER]] |= kept.key[place] != key_of(moment, posts[row])
        prefetch(kept.codes, place)
        for line in range(0, rows.shape[1], _LINE):
            prefetch(rows[place], line)
