"""Rows of posts that are the same for most viewers of a moment, so that they are made once."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feedgen.ranking.groups.compiled import inner

PLACES: Final = 1 << 16
"""A power of two. A post has one, by its index; of two that share it the later one stays. Posts of one time share none.
"""
BIN, HOURS, LANGUAGE, LOCATION = range(4)
"""Of `codes`: the bin (columns.delay_bin) and the whole hours of the post's age, and what the post says."""
CODES: Final = 4


class Kept(NamedTuple):
    """By place: `key`, which post of which moment is there (0: none); `codes`, shape (places, CODES); `rows`, shape
    (places, columns), as they are for whoever did nothing with any of the author's posts."""

    key: NDArray[np.int64]
    codes: NDArray[np.int32]
    rows: NDArray[np.float32]


def room_to_keep(places: int, columns: int) -> Kept:
    """With nothing in it. For PLACES and a hundred columns 30 MB, of which only what is used is memory."""
    shape = places, columns
    return Kept(np.zeros(places, np.int64), np.empty((places, CODES), np.int32), np.empty(shape, np.float32))


@inner
def key_of(moment: int, post: int) -> int:
    """`moment`: a number from 1 up, another one for another moment or epoch."""
    return moment << 32 | post


@inner
def is_kept(kept: Kept, moment: int, post: int) -> bool:
    """Whether the row of the post is there."""
    return bool(kept.key[post & (len(kept.key) - 1)] == key_of(moment, post))


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
    place, rows = post & (len(kept.key) - 1), kept.rows
    kept.key[place] = key_of(moment, post)
    for at in range(CODES):
        kept.codes[place, at] = codes[row, at]
    for at in range(rows.shape[1]):
        rows[place, at] = out[row, first + at]


@inner
def fetch(kept: Kept, post: int, codes: NDArray[np.int32], out: NDArray[np.float32], row: int, first: int) -> None:
    """What `keep` kept."""
    place, rows = post & (len(kept.key) - 1), kept.rows
    for at in range(CODES):
        codes[row, at] = kept.codes[place, at]
    for at in range(rows.shape[1]):
        out[row, first + at] = rows[place, at]
