"""Rows of posts that are the same for most viewers of a moment, so that they are made once."""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.prefetch import prefetch
from feedgen.ranking.groups.compiled import inner
from feedgen.turning import SIDE, turn

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
def _copy(source: NDArray[Any], target: NDArray[Any], count: int) -> None:
    for at in range(count):
        target[at] = source[at]


@inner
def unkept_of(
    kept: Kept,
    moment: int,
    posts: NDArray[np.int32],
    codes: NDArray[np.int32],
    unkept: NDArray[np.bool_],
    where: NDArray[np.int64],
) -> None:
    """Mark the numbers of authors with a post whose row is not there; `where`: the place of each post's, which is
    fetched. O(posts)."""
    rows, mask = kept.rows, len(kept.key) - 1
    for row in range(len(posts)):
        place = posts[row] & mask
        where[row] = place
        unkept[codes[row, NUMBER]] |= kept.key[place] != key_of(moment, posts[row])
        prefetch(kept.codes, place)
        for line in range(0, rows.shape[1], _LINE):
            prefetch(rows[place], line)


@inner
def lay(
    kept: Kept,
    made: NDArray[np.float32],
    where: NDArray[np.int64],
    codes: NDArray[np.int32],
    out: NDArray[np.float32],
    first: int,
) -> None:
    """Rows as columns of `out`, from `first` on: those at the places `where` says, with their codes; for a place below
    0 the row ~place of `made`, which has its codes. O(rows)."""
    count, columns = len(where), kept.rows.shape[1]
    for row in range(count):
        if where[row] >= 0:
            _copy(kept.codes[where[row]], codes[row], CODES - 1)
    if count < SIDE:
        for row in range(count):
            source = kept.rows[where[row]] if where[row] >= 0 else made[~where[row]]
            for at in range(columns):
                out[first + at, row] = source[at]
        return
    starts, wide = np.empty(count, np.int64), columns * made.itemsize
    begin, begin_made = np.int64(kept.rows.ctypes.data), np.int64(made.ctypes.data)
    for row in range(count):
        place = where[row]
        starts[row] = begin + wide * place if place >= 0 else begin_made + wide * ~place
    for block in range(0, count, SIDE):  # the last one may go over some of the one before it again
        row = min(block, count - SIDE)
        for left in range(0, columns, SIDE):
            at = min(left, columns - SIDE)
            turn(starts, row, at, out, first + at, row)


@inner
def keep(
    kept: Kept,
    moment: int,
    posts: NDArray[np.int32],
    made: NDArray[np.float32],
    where: NDArray[np.int64],
    touched: NDArray[np.bool_],
    codes: NDArray[np.int32],
) -> None:
    """What was made, but for those whose author's number is in `touched`. `where`: see `lay`. O(rows)."""
    mask = len(kept.key) - 1
    for row in range(len(posts)):
        if where[row] < 0 and not touched[codes[row, NUMBER]]:
            place = posts[row] & mask
            kept.key[place] = key_of(moment, posts[row])
            _copy(codes[row], kept.codes[place], CODES - 1)
            _copy(made[~where[row]], kept.rows[place], kept.rows.shape[1])
