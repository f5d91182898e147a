"""One order for everything that is cut or ranked: by keys, ties by outside id."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def best(names: Sequence[str], ids: NDArray[np.int32], count: int, *keys: NDArray[Any]) -> NDArray[np.intp]:
    """The first `count` positions of `ordered`, without sorting the others. O(n + count log count) if few tie."""
    if len(ids) <= count:
        return ordered(names, ids, *keys)
    if count < 1:
        return np.empty(0, np.intp)
    edge = np.partition(keys[0], count - 1)[count - 1]
    near = np.flatnonzero(keys[0] <= edge)  # ties at the edge included: the other keys decide between them
    return near[ordered(names, ids[near], *(key[near] for key in keys))[:count]]


def ordered(names: Sequence[str], ids: NDArray[np.int32], *keys: NDArray[Any]) -> NDArray[np.intp]:
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
