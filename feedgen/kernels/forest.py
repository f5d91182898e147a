"""Decision trees over many rows, without a branch: each node strikes out the leaves that a row cannot come to.

The idea is QuickScorer's (Lucchese et al., SIGIR 2015): where a row's value is more than a node's threshold, no leaf to
the left of the node is its own; the leftmost one that is left in the end is. Nodes are taken one after the other, and
each of them for 64 rows at once, which the compiler makes vectors of: 1.4 µs a tree of 32 leaves and 500 rows, where
walking down took 2.7.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numba import uint32
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from feedgen.kernels.compiled import compiled

lowest: Final[Any] = trailing_zeros
"""Number of the lowest bit that is set; an intrinsic, whose type is the compiler's affair."""
LEAVES: Final = 32
"""A tree has no more: they are the bits of a number."""
_ROWS: Final = 64
"""Rows that go through the trees together: their columns, 60 × 64 float32, are 15 KB and stay in the nearest cache."""


class Trees(NamedTuple):
    """Trees whose leaves are numbered from left to right.

    By node: `feature`, uint32, the column it looks at; `threshold`, float32; `keep`, uint32, the leaves that are left
    to a row whose value is more. `first`, int64 (trees + 1): nodes first[t] to first[t + 1] are tree t's. `leaf`:
    float64 (trees, LEAVES). `bounds`: int64 (heads + 1); head h sums trees bounds[h] to bounds[h + 1]. Heads after the
    first may look at one column more than the rows have: the probability that the first one gives.
    """

    feature: NDArray[np.uint32]
    threshold: NDArray[np.float32]
    keep: NDArray[np.uint32]
    first: NDArray[np.int64]
    leaf: NDArray[np.float64]
    bounds: NDArray[np.int64]


@compiled
def _fill(rows: NDArray[np.float32], first: int, count: int, columns: NDArray[np.float32]) -> None:
    for at in range(count):
        for column in range(rows.shape[1]):
            columns[column, at] = rows[first + at, column]


@compiled
def _strike(column: NDArray[np.float32], threshold: float, keep: int, left: NDArray[np.uint32]) -> None:
    for at in range(len(left)):
        left[at] &= keep if column[at] > threshold else uint32(0xFFFFFFFF)


@compiled
def _sum(
    columns: NDArray[np.float32],
    trees: Trees,
    span: tuple[int, int],
    sums: NDArray[np.float64],
    leaves: NDArray[np.uint16],
) -> None:
    """Sums of the leaves over the trees in `span`, in their order; which ones, if there is room for it in `leaves`."""
    left = np.empty(_ROWS, np.uint32)
    sums[:] = 0.0
    for tree in range(span[0], span[1]):
        left[:] = uint32(0xFFFFFFFF)
        for node in range(trees.first[tree], trees.first[tree + 1]):
            _strike(columns[trees.feature[node]], trees.threshold[node], trees.keep[node], left)
        for at in range(_ROWS):
            sums[at] += trees.leaf[tree, lowest(left[at])]
        for at in range(len(leaves)):
            leaves[at, tree] = lowest(left[at])


@compiled
def grow(rows: NDArray[np.float32], trees: Trees, logits: NDArray[np.float64], leaves: NDArray[np.uint16]) -> None:
    """Add to `logits`, shape (rows, heads), each head's sum over its trees, in their order.

    `leaves`: which leaf of each tree each row came to, shape (rows, trees); of no rows if that is not wanted.
    O(rows × nodes).
    """
    columns, sums = np.zeros((rows.shape[1] + 1, _ROWS), np.float32), np.zeros(_ROWS)
    for first in range(0, len(rows), _ROWS):
        here = min(_ROWS, len(rows) - first)
        _fill(rows, first, here, columns)
        for head in range(len(trees.bounds) - 1):
            _sum(columns, trees, (trees.bounds[head], trees.bounds[head + 1]), sums, leaves[first : first + here])
            for at in range(here):
                logits[first + at, head] += sums[at]
            if head == 0:
                for at in range(here):
                    columns[rows.shape[1], at] = 1.0 / (1.0 + np.exp(-logits[first + at, 0]))


@compiled
def stack(
    leaves: NDArray[np.uint16],
    hashed: NDArray[np.uint32],
    weights: NDArray[np.float32],
    logits: NDArray[np.float64],
) -> None:
    """Add to `logits` the weights of the leaves and of the hashed ids of each row.

    `weights`: shape (trees × LEAVES + buckets, heads), a row for each leaf, then one for each bucket; `hashed`, shape
    (rows, ids), holds buckets. O(rows × (trees + ids) × heads).
    """
    count, trees = leaves.shape
    base = trees * LEAVES
    for at in range(count):
        for tree in range(trees):
            row = tree * LEAVES + np.int64(leaves[at, tree])
            for head in range(logits.shape[1]):
                logits[at, head] += weights[row, head]
        for number in range(hashed.shape[1]):
            row = base + np.int64(hashed[at, number])
            for head in range(logits.shape[1]):
                logits[at, head] += weights[row, head]
