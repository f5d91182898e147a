"""Whether authors follow a viewer: a search in the row of each, which begins where the viewer would stand."""

from typing import Final

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled, inner

_WIDE: Final = 32
"""Entries of a row that are searched first: of 500 that are spread evenly, nine of ten viewers are among these."""


@compiled
def follow_back(
    values: NDArray[np.int32],
    starts: NDArray[np.int64],
    counts: NDArray[np.int32],
    viewer: int,
    share: float,
    into: NDArray[np.float64],
) -> None:
    """1 for each author who follows the viewer, else 0: whom they follow begins at `starts`, ascending. O(log
    followees) an author.

    `share`: how far into a row the viewer is thought to stand, from 0 to 1; it changes no result. Rows are not in the
    cache, and a search in all of a row of 500 reads six lines of it.
    """
    count, near, far = len(starts), 0, 0
    begin, many, low = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.empty(count, np.uint64)
    first, last = np.empty(count, np.int32), np.empty(count, np.int32)
    narrow, whole = np.empty(count, np.int64), np.empty(count, np.int64)
    into[:] = 0.0
    for at in range(count):
        begin[at], many[at] = starts[at], counts[at]
    for at in range(count):
        guess = np.int64(np.float64(many[at]) * share) - _WIDE // 2
        low[at] = np.uint64(max(min(guess, np.int64(many[at]) - _WIDE), 0))
    for at in range(count if len(values) else 0):  # apart, so that all are fetched at once
        some = many[at] > uint64(0)
        first[at] = values[(begin[at] + low[at]) * some]
        last[at] = values[(begin[at] + min(low[at] + uint64(_WIDE), many[at]) - uint64(1)) * some]
    for at in range(count):
        end = low[at] + uint64(_WIDE)
        inside = ((low[at] == uint64(0)) | (first[at] <= viewer)) & ((end >= many[at]) | (last[at] >= viewer))
        narrow[near], whole[far] = at, at
        near += inside & (many[at] > uint64(0))
        far += not inside
        shift = low[at] * inside
        many[at] = min(many[at], end * inside + many[at] * (not inside)) - shift
        begin[at] += shift
    _search(values, begin[narrow[:near]], many[narrow[:near]], narrow[:near], viewer, into)
    _search(values, begin[whole[:far]], many[whole[:far]], whole[:far], viewer, into)


@inner
def _search(
    values: NDArray[np.int32],
    begin: NDArray[np.uint64],
    many: NDArray[np.uint64],
    which: NDArray[np.int64],
    viewer: int,
    into: NDArray[np.float64],
) -> None:
    """In rows of so `many`, none empty; `which` of `into` each stands for.

    All rows are halved together, step by step: no search waits for what another one fetches, and none branches. One
    after the other took three times as long.
    """
    longest, one, less = uint64(0), uint64(1), np.empty(len(which), np.uint64)
    for at in range(len(which)):
        longest = max(longest, many[at])
    while longest > one:
        for at in range(len(which)):
            less[at] = -np.int64(values[begin[at] + max(many[at] >> one, one) - one] < viewer)
        for at in range(len(which)):  # apart, as bits: a choice would be compiled into a jump
            half = many[at] >> one
            begin[at] += half & less[at]
            many[at] -= half
        longest -= longest >> one
    for at in range(len(which)):
        into[which[at]] = values[begin[at]] == viewer
