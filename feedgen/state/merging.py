"""Compiled: lists that grew at their end, put in order again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedgen.state.compiled import compiled


@compiled
def merge_tails(
    starts: NDArray[np.int64],
    counts: NDArray[np.int32],
    values: NDArray[Any],
    keys: NDArray[np.float64],
    owners: NDArray[np.integer[Any]],
    added: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Merge the last `added` entries of each owner's list with those before; both ascend by `keys[entry]`.

    Whether two entries of the list have the same key, so that something else has to decide. O(entries of the lists).
    """
    tied = np.zeros(len(owners), np.bool_)
    for number in range(len(owners)):
        start = starts[owners[number]]
        put, old = start + counts[owners[number]] - 1, start + counts[owners[number]] - added[number] - 1
        tail = values[old + 1 : put + 1].copy()
        new = len(tail) - 1
        while new >= 0:
            if old >= start and keys[values[old]] > keys[tail[new]]:
                values[put] = values[old]
                old -= 1
            else:
                values[put] = tail[new]
                new -= 1
            put -= 1
        for at in range(start + 1, start + counts[owners[number]]):
            tied[number] |= keys[values[at - 1]] == keys[values[at]]
    return tied
