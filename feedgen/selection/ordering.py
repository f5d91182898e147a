"""One order for everything that is cut or ranked: by keys, ties by outside id."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ordered(names: Sequence[str], ids: NDArray[np.int32], *keys: NDArray[np.generic]) -> NDArray[np.intp]:
    """Positions that sort by `keys` ascending, the first one first, ties by `names[id]`. O(n log n).

    Only runs of equal keys look at names: comparing the strings of 2,000 candidates would cost more than the rest.
    """
    order = np.lexsort(keys[::-1])
    if len(order) < 2:
        return order
    tied = np.ones(len(order) - 1, np.bool_)
    for key in keys:
        sorted_key = key[order]
        tied &= sorted_key[1:] == sorted_key[:-1]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], tied, [False])).astype(np.int8)))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        run = slice(start, end + 1)
        order[run] = sorted(order[run].tolist(), key=lambda at: names[int(ids[at])])
    return order
