"""Whether authors follow a viewer: a search in the row of each."""

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled
from feedgen.state.lists import Spans


@compiled
def follow_back(followees: Spans, authors: NDArray[np.int32], viewer: int, into: NDArray[np.float64]) -> None:
    """1 for each author who follows the viewer, else 0. O(log followees) an author.

    All rows are halved together, step by step: no search waits for what another one fetches, and none branches. One
    after the other took three times as long.
    """
    starts, counts, values = followees
    count, longest, one = len(authors), uint64(0), uint64(1)
    begin, many, less = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.empty(count, np.uint64)
    for at in range(count):
        author = authors[at]
        if author < len(starts):
            begin[at], many[at] = starts[author], counts[author]
            longest = max(longest, many[at])
    if not longest:
        into[:] = 0.0
        return
    while longest > one:
        for at in range(count):
            less[at] = -np.int64(values[begin[at] + max(many[at] >> one, one) - one] < viewer)
        for at in range(count):  # apart, as bits: a choice would be compiled into a jump
            half = many[at] >> one
            begin[at] += half & less[at]
            many[at] -= half
        longest -= longest >> one
    for at in range(count):
        into[at] = many[at] > 0 and values[begin[at]] == viewer
